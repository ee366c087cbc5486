/* A disk that loses its power and fails on demand, beneath any program: LD_PRELOAD=disk.so (Linux, glibc).
 *
 * Watched are the files in DISK_ROOT whose names end in .db, -wal or -journal. What such a file would still hold
 * after a power cut stands in DISK_DURABLE under the same name: an fsync copies there what was written
 * since the last one, nothing else does. A failed fsync forgets what it should have written, and the next
 * one succeeds without it, as ext4 and XFS behave (Rebello et al., "Can Applications Recover from fsync
 * Failures?", USENIX ATC 2020). A file's name counts as durable with its first fsync.
 *
 * DISK_CONTROL is a file of eight 64-bit numbers that the test reads and writes while the program runs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITES, SYNCS, FAIL_WRITE, FAIL_SYNC, ERROR, REPEAT, FAILED, FIELDS = 8 };
enum { SHORT = -1 };
enum { FILES = 32, DESCRIPTORS = 4096, RANGES = 65536 };

struct range { off_t from, to; };
struct file {
    char path[PATH_MAX], durable[PATH_MAX];
    struct range *dirty;
    size_t ranges;
};

static struct file files[FILES];
static struct file *of_descriptor[DESCRIPTORS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *root, *durable_root;
static volatile int64_t *control;
static int repeating_writes, repeating_syncs;

static int (*real_open)(const char *, int, ...);
static int (*real_close)(int);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_unlink)(const char *);

static void die(const char *what) {
    perror(what);
    abort();
}

__attribute__((constructor)) static void begin(void) {
    real_open = dlsym(RTLD_NEXT, "open64");
    real_close = dlsym(RTLD_NEXT, "close");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    root = getenv("DISK_ROOT");
    durable_root = getenv("DISK_DURABLE");
    const char *path = getenv("DISK_CONTROL");
    if (!root || !durable_root || !path) return;
    int descriptor = real_open(path, O_RDWR);
    if (descriptor < 0) die(path);
    control = mmap(NULL, FIELDS * sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (control == MAP_FAILED) die(path);
    real_close(descriptor);
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), wanted = strlen(end);
    return length >= wanted && strcmp(text + length - wanted, end) == 0;
}

static struct file *watched(const char *path) {
    if (!control || strncmp(path, root, strlen(root)) != 0) return NULL;
    if (!ends_with(path, ".db") && !ends_with(path, "-wal") && !ends_with(path, "-journal")) return NULL;
    for (int index = 0; index < FILES; index++) {
        struct file *file = &files[index];
        if (!file->path[0]) {
            snprintf(file->path, sizeof file->path, "%s", path);
            snprintf(file->durable, sizeof file->durable, "%s%s", durable_root, strrchr(path, '/'));
            file->dirty = malloc(RANGES * sizeof *file->dirty);
            if (!file->dirty) die("malloc");
        }
        if (strcmp(file->path, path) == 0) return file;
    }
    fprintf(stderr, "disk.c: too many files\n");
    abort();
}

static struct file *file_of(int descriptor) {
    return descriptor >= 0 && descriptor < DESCRIPTORS ? of_descriptor[descriptor] : NULL;
}

static void note(struct file *file, off_t from, off_t to) {
    if (file->ranges > 0 && file->dirty[file->ranges - 1].to == from) {
        file->dirty[file->ranges - 1].to = to;
        return;
    }
    if (file->ranges == RANGES) {
        file->dirty[0] = (struct range){0, INT64_MAX};
        file->ranges = 1;
        return;
    }
    file->dirty[file->ranges++] = (struct range){from, to};
}

/* What was written since the last time becomes durable. */
static void keep(int descriptor, struct file *file) {
    static char buffer[65536];
    struct stat facts;
    if (fstat(descriptor, &facts) < 0) die(file->path);
    int copy = real_open(file->durable, O_RDWR | O_CREAT, 0600);
    if (copy < 0) die(file->durable);
    if (real_ftruncate(copy, facts.st_size) < 0) die(file->durable);
    for (size_t index = 0; index < file->ranges; index++) {
        off_t at = file->dirty[index].from, to = file->dirty[index].to;
        if (to > facts.st_size) to = facts.st_size;
        while (at < to) {
            size_t wanted = to - at < (off_t)sizeof buffer ? (size_t)(to - at) : sizeof buffer;
            ssize_t got = pread(descriptor, buffer, wanted, at);
            if (got <= 0) break;
            if (real_pwrite(copy, buffer, got, at) != got) die(file->durable);
            at += got;
        }
    }
    real_close(copy);
    file->ranges = 0;
}

/* Whether this operation is one that fails. */
static int fails(int countdown, int *repeating) {
    if (*repeating) {
        /* Until the test says that the disk is well again. */
        if (control[REPEAT]) { control[FAILED]++; return 1; }
        *repeating = 0;
    }
    if (control[countdown] <= 0 || --control[countdown] > 0) return 0;
    *repeating = control[REPEAT] != 0;
    control[FAILED]++;
    return 1;
}

static ssize_t put(int descriptor, struct file *file, const void *bytes, size_t count, off_t at, int seek) {
    pthread_mutex_lock(&lock);
    control[WRITES]++;
    int again = repeating_writes;
    int failing = fails(FAIL_WRITE, &repeating_writes);
    if (failing && (control[ERROR] != SHORT || again)) {
        /* A disk that took half of a write takes nothing more. */
        errno = control[ERROR] == SHORT ? ENOSPC : (int)control[ERROR];
        pthread_mutex_unlock(&lock);
        return -1;
    }
    if (failing) count /= 2;
    ssize_t done = seek ? real_pwrite(descriptor, bytes, count, at) : real_write(descriptor, bytes, count);
    if (done > 0) note(file, at, at + done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int descriptor, const void *bytes, size_t count) {
    if (!real_open) begin();
    struct file *file = file_of(descriptor);
    if (!file) return real_write(descriptor, bytes, count);
    return put(descriptor, file, bytes, count, lseek(descriptor, 0, SEEK_CUR), 0);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off_t at) {
    struct file *file = file_of(descriptor);
    return file ? put(descriptor, file, bytes, count, at, 1) : real_pwrite(descriptor, bytes, count, at);
}
ssize_t pwrite(int descriptor, const void *bytes, size_t count, off_t at) {
    return pwrite64(descriptor, bytes, count, at);
}

static int synced(int descriptor, int (*real)(int)) {
    struct file *file = file_of(descriptor);
    if (!file) return real(descriptor);
    pthread_mutex_lock(&lock);
    control[SYNCS]++;
    int failing = fails(FAIL_SYNC, &repeating_syncs);
    if (failing) file->ranges = 0;
    else keep(descriptor, file);
    pthread_mutex_unlock(&lock);
    if (!failing) return 0;
    errno = control[ERROR] > 0 ? (int)control[ERROR] : EIO;
    return -1;
}
int fsync(int descriptor) { return synced(descriptor, real_fsync); }
int fdatasync(int descriptor) { return synced(descriptor, real_fdatasync); }

int ftruncate64(int descriptor, off_t length) {
    struct file *file = file_of(descriptor);
    if (!file) return real_ftruncate(descriptor, length);
    pthread_mutex_lock(&lock);
    int done = real_ftruncate(descriptor, length);
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate(int descriptor, off_t length) { return ftruncate64(descriptor, length); }

static int opened(const char *path, int flags, mode_t mode) {
    if (!real_open) begin();
    int descriptor = real_open(path, flags, mode);
    if (descriptor < 0 || descriptor >= DESCRIPTORS) return descriptor;
    pthread_mutex_lock(&lock);
    of_descriptor[descriptor] = watched(path);
    pthread_mutex_unlock(&lock);
    return descriptor;
}
static mode_t mode_of(int flags, va_list rest) { return flags & O_CREAT ? va_arg(rest, mode_t) : 0; }
int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return opened(path, flags, mode);
}
int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    return opened(path, flags, mode);
}

int close(int descriptor) {
    if (!real_open) begin();
    if (file_of(descriptor)) of_descriptor[descriptor] = NULL;
    return real_close(descriptor);
}

int unlink(const char *path) {
    pthread_mutex_lock(&lock);
    struct file *file = watched(path);
    if (file) {
        file->ranges = 0;
        real_unlink(file->durable);
    }
    pthread_mutex_unlock(&lock);
    return real_unlink(path);
}
