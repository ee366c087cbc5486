//! Bodies on their way through an encoder.

use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::web::accept_encoding::Coding;

/// Encoders at once; each takes up to about 2 MiB (brotli).
const ENCODERS_MAX: usize = 32;
/// Input that an encoder may swallow before its output is asked for: also the most that one turn computes.
const SILENT_BYTES_MAX: usize = 64 * 1024;
/// Output that is worth a frame of its own while there is more input.
const FRAME_BYTES_MIN: usize = 4 * 1024;
/// Windows of 256 KiB (2^18): most of the memory of one answer under way, here and at the client.
const WINDOW_BITS: u32 = 18;
/// Qualities at which a server keeps up with its network.
const BROTLI_QUALITY: i32 = 5;
const ZSTD_LEVEL: i32 = 3;
const GZIP_LEVEL: u32 = 5;

/// The encoders of one edge: no more at once than memory is meant for. What is beyond that is sent as it is.
#[derive(Debug)]
pub struct Encoders(Arc<Semaphore>);

impl Default for Encoders {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ENCODERS_MAX)))
    }
}

impl Encoders {
    /// `bytes`: how much there will be, where it is known; a short answer needs little memory.
    pub fn encoder(&self, coding: Coding, bytes: Option<u64>) -> Option<Encoder> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        let codec = Codec::new(coding, bytes);
        let codec = codec.inspect_err(|error| log::warn!(target: "edge", "no {}: {error}", coding.token())).ok()?;
        Some(Encoder { codec, coding, waiting: Bytes::new(), silent: 0, _permit: permit })
    }
}

/// One answer's encoder.
pub struct Encoder {
    codec: Codec,
    coding: Coding,
    /// What has come and has not gone in yet.
    waiting: Bytes,
    /// Bytes that went in since it was flushed.
    silent: usize,
    _permit: OwnedSemaphorePermit,
}

impl Encoder {
    /// All of a body in one turn.
    pub fn whole(mut self, body: &[u8]) -> io::Result<Bytes> {
        self.codec.writer().write_all(body)?;
        self.codec.finish()
    }

    fn encode(&mut self, data: Bytes) -> io::Result<Bytes> {
        self.waiting = data;
        self.encode_more()
    }

    /// Takes in some of what waits.
    fn encode_more(&mut self) -> io::Result<Bytes> {
        let data = self.waiting.split_to(self.waiting.len().min(SILENT_BYTES_MAX));
        self.codec.writer().write_all(&data)?;
        self.silent += data.len();
        match self.codec.output_mut().len() {
            _ if self.silent >= SILENT_BYTES_MAX => self.flush(),
            ready if ready >= FRAME_BYTES_MIN => Ok(self.codec.output()),
            _ => Ok(Bytes::new()),
        }
    }

    fn flush(&mut self) -> io::Result<Bytes> {
        self.codec.writer().flush()?;
        self.silent = 0;
        Ok(self.codec.output())
    }
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Encoder").field("coding", &self.coding).field("silent", &self.silent).finish()
    }
}

enum Codec {
    Brotli(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
}

impl Codec {
    fn new(coding: Coding, bytes: Option<u64>) -> io::Result<Self> {
        Ok(match coding {
            Coding::Brotli => {
                let parameters = brotli::enc::BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    lgwin: WINDOW_BITS as i32,
                    size_hint: bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0),
                    ..Default::default()
                };
                Self::Brotli(Box::new(brotli::CompressorWriter::with_params(Vec::new(), 4096, &parameters)))
            }
            Coding::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.window_log(WINDOW_BITS)?;
                encoder.set_pledged_src_size(bytes)?;
                Self::Zstd(encoder)
            }
            Coding::Gzip => Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(GZIP_LEVEL))),
        })
    }

    fn writer(&mut self) -> &mut dyn Write {
        match self {
            Self::Brotli(encoder) => encoder,
            Self::Zstd(encoder) => encoder,
            Self::Gzip(encoder) => encoder,
        }
    }

    fn output_mut(&mut self) -> &mut Vec<u8> {
        match self {
            Self::Brotli(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
            Self::Gzip(encoder) => encoder.get_mut(),
        }
    }

    /// What has come out so far.
    fn output(&mut self) -> Bytes {
        Bytes::from(std::mem::take(self.output_mut()))
    }

    /// The end of the stream.
    fn finish(self) -> io::Result<Bytes> {
        Ok(Bytes::from(match self {
            Self::Brotli(encoder) => encoder.into_inner(),
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Gzip(encoder) => encoder.finish()?,
        }))
    }
}

/// A body, as it is or encoded. What has come is passed on as soon as no more is there at once: a slow
/// source stays as live as it was.
#[derive(Debug)]
pub struct Encoded<B> {
    inner: B,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    AsItIs,
    /// In boxes, for most bodies have neither.
    Encoding(Box<Encoder>),
    Trailers(Box<HeaderMap>),
    Over,
}

impl<B: Body<Data = Bytes>> Encoded<B> {
    /// Without an encoder: as it is.
    pub fn new(inner: B, encoder: Option<Encoder>) -> Self {
        Self { inner, stage: encoder.map_or(Stage::AsItIs, |encoder| Stage::Encoding(Box::new(encoder))) }
    }

    /// The last of the encoder's output, then the trailers.
    fn finish(&mut self, trailers: Option<HeaderMap>) -> io::Result<Bytes> {
        let next = trailers.map_or(Stage::Over, |trailers| Stage::Trailers(Box::new(trailers)));
        match std::mem::replace(&mut self.stage, next) {
            Stage::Encoding(encoder) => encoder.codec.finish(),
            _ => Ok(Bytes::new()),
        }
    }
}

impl<B> Body for Encoded<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: From<io::Error>,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let body = self.get_mut();
        loop {
            let encoder = match &mut body.stage {
                Stage::AsItIs => return Pin::new(&mut body.inner).poll_frame(cx),
                Stage::Over => return Poll::Ready(None),
                Stage::Trailers(trailers) => {
                    let trailers = std::mem::take(&mut **trailers);
                    body.stage = Stage::Over;
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                Stage::Encoding(encoder) => encoder,
            };
            let output = if encoder.waiting.is_empty() {
                match Pin::new(&mut body.inner).poll_frame(cx) {
                    Poll::Pending if encoder.silent == 0 => return Poll::Pending,
                    Poll::Pending => encoder.flush(),
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) => encoder.encode(data),
                        Err(frame) => body.finish(frame.into_trailers().ok()),
                    },
                    Poll::Ready(Some(Err(error))) => {
                        body.stage = Stage::Over;
                        return Poll::Ready(Some(Err(error)));
                    }
                    Poll::Ready(None) => body.finish(None),
                }
            } else {
                encoder.encode_more()
            };
            match output {
                Ok(output) if output.is_empty() => {}
                Ok(output) => return Poll::Ready(Some(Ok(Frame::data(output)))),
                Err(error) => {
                    body.stage = Stage::Over;
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self.stage {
            Stage::AsItIs => self.inner.is_end_stream(),
            Stage::Encoding(_) | Stage::Trailers(_) => false,
            Stage::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self.stage {
            Stage::AsItIs => self.inner.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::Read;

    use http_body_util::BodyExt;
    use hyper::header::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    /// What a source does next: gives bytes, or has none at the moment.
    type Steps = VecDeque<Option<Vec<u8>>>;

    struct Script {
        steps: Steps,
        trailers: bool,
    }

    impl Body for Script {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            match self.steps.pop_front() {
                Some(Some(bytes)) => Poll::Ready(Some(Ok(Frame::data(Bytes::from(bytes))))),
                Some(None) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                None if std::mem::take(&mut self.trailers) => {
                    let trailer = (HeaderName::from_static("x-sum"), HeaderValue::from_static("1"));
                    Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::from_iter([trailer])))))
                }
                None => Poll::Ready(None),
            }
        }
    }

    fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut reader: Box<dyn Read + '_> = match coding {
            Coding::Brotli => Box::new(brotli::Decompressor::new(bytes, 4096)),
            Coding::Zstd => Box::new(zstd::stream::read::Decoder::new(bytes).unwrap()),
            Coding::Gzip => Box::new(flate2::read::GzDecoder::new(bytes)),
        };
        reader.read_to_end(&mut plain).unwrap();
        plain
    }

    trait Fed: Write + Sized {
        /// What has come out once these bytes went in.
        fn fed(mut self, bytes: &[u8], out: impl Fn(&Self) -> Vec<u8>) -> Vec<u8> {
            self.write_all(bytes).unwrap();
            self.flush().unwrap();
            out(&self)
        }
    }

    impl<W: Write> Fed for W {}

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn step() -> impl Strategy<Value = Option<Vec<u8>>> {
        prop_oneof![
            Just(None),
            prop::collection::vec(any::<u8>(), 0..200).prop_map(Some),
            (any::<u8>(), 0_usize..200_000).prop_map(|(byte, count)| Some(vec![byte; count])),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn however_a_body_comes_it_is_the_same_when_decoded(steps in prop::collection::vec(step(), 0..12), trailers: bool) {
            let plain: Vec<u8> = steps.iter().flatten().flatten().copied().collect();
            for coding in Coding::ALL {
                for bytes in [None, Some(plain.len() as u64)] {
                    let encoder = Encoders::default().encoder(coding, bytes).unwrap();
                    let body = Encoded::new(Script { steps: steps.clone().into(), trailers }, Some(encoder));
                    let collected = run(body.collect()).unwrap();
                    prop_assert_eq!(collected.trailers().is_some(), trailers);
                    prop_assert_eq!(&decoded(coding, &collected.to_bytes()), &plain);
                }
            }
        }
    }

    #[test]
    fn what_has_come_is_passed_on_before_a_pause() {
        for coding in Coding::ALL {
            let encoder = Encoders::default().encoder(coding, None).unwrap();
            let steps = Steps::from([Some(b"now".to_vec()), None]);
            let mut body = Encoded::new(Script { steps, trailers: false }, Some(encoder));
            let mut context = Context::from_waker(std::task::Waker::noop());
            let Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context) else {
                panic!("{coding:?}")
            };
            let sent = frame.into_data().unwrap();
            // Decoders that give what they have of a stream that goes on.
            let plain = match coding {
                Coding::Brotli => brotli::DecompressorWriter::new(Vec::new(), 4096).fed(&sent, |w| w.get_ref().clone()),
                Coding::Zstd => {
                    let decoder = zstd::stream::write::Decoder::new(Vec::new()).unwrap();
                    decoder.fed(&sent, |decoder| decoder.get_ref().clone())
                }
                Coding::Gzip => flate2::write::GzDecoder::new(Vec::new()).fed(&sent, |w| w.get_ref().clone()),
            };
            assert_eq!(plain, b"now", "{coding:?}");
        }
    }

    #[test]
    fn there_are_no_more_encoders_at_once_than_the_bound() {
        let encoders = Encoders::default();
        let mut held: Vec<Encoder> =
            (0..ENCODERS_MAX).map(|_| encoders.encoder(Coding::Gzip, Some(10)).unwrap()).collect();
        assert!(encoders.encoder(Coding::Gzip, None).is_none());
        held.pop();
        assert!(encoders.encoder(Coding::Gzip, None).is_some());
    }
}
