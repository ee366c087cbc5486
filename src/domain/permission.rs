//! Who may do what: one table for the restaurant and the console.

use serde::{Deserialize, Serialize};

/// A part that a person plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Guest,
    Waiter,
    Chef,
    Manager,
    Owner,
}

impl Role {
    /// The roles of the restaurant; `Owner` belongs to the console.
    pub const BISTRO: [Role; 4] = [Role::Guest, Role::Waiter, Role::Chef, Role::Manager];
    /// Those of them that work there, so can have a password.
    pub const STAFF: [Role; 3] = [Role::Waiter, Role::Chef, Role::Manager];

    pub const fn id(self) -> &'static str {
        match self {
            Role::Guest => "guest",
            Role::Waiter => "waiter",
            Role::Chef => "chef",
            Role::Manager => "manager",
            Role::Owner => "owner",
        }
    }

    pub fn from_id(id: &str) -> Option<Role> {
        [Role::Guest, Role::Waiter, Role::Chef, Role::Manager, Role::Owner].into_iter().find(|role| role.id() == id)
    }

    pub fn may(self, permission: Permission) -> bool {
        permission.roles().contains(&self)
    }
}

/// A thing that can be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    MenuRead,
    OrderPlace,
    OrderReadOwn,
    OrderReadAny,
    /// Place, serve, take payment for and cancel anybody's.
    OrderServe,
    OrderRefund,
    KitchenRead,
    /// Pause it, queue again, let something go first.
    KitchenDirect,
    PantryRead,
    LedgerRead,
    LedgerClose,
    StackRead,
    StackChange,
    JourneySend,
    StaffManage,
    /// Make and revoke API tokens.
    TokenManage,
    /// Make and check backups, and put one in the place of the data.
    BackupManage,
    /// Load the configuration file again.
    ConfigurationLoad,
}

impl Permission {
    pub const ALL: [Permission; 18] = [
        Permission::MenuRead,
        Permission::OrderPlace,
        Permission::OrderReadOwn,
        Permission::OrderReadAny,
        Permission::OrderServe,
        Permission::OrderRefund,
        Permission::KitchenRead,
        Permission::KitchenDirect,
        Permission::PantryRead,
        Permission::LedgerRead,
        Permission::LedgerClose,
        Permission::StackRead,
        Permission::StackChange,
        Permission::JourneySend,
        Permission::StaffManage,
        Permission::TokenManage,
        Permission::BackupManage,
        Permission::ConfigurationLoad,
    ];

    /// As traces and refusals name it.
    pub const fn id(self) -> &'static str {
        match self {
            Permission::MenuRead => "menu:read",
            Permission::OrderPlace => "order:place",
            Permission::OrderReadOwn => "order:read-own",
            Permission::OrderReadAny => "order:read-any",
            Permission::OrderServe => "order:serve",
            Permission::OrderRefund => "order:refund",
            Permission::KitchenRead => "kitchen:read",
            Permission::KitchenDirect => "kitchen:direct",
            Permission::PantryRead => "pantry:read",
            Permission::LedgerRead => "ledger:read",
            Permission::LedgerClose => "ledger:close",
            Permission::StackRead => "stack:read",
            Permission::StackChange => "stack:change",
            Permission::JourneySend => "journey:send",
            Permission::StaffManage => "staff:manage",
            Permission::TokenManage => "token:manage",
            Permission::BackupManage => "backup:manage",
            Permission::ConfigurationLoad => "configuration:load",
        }
    }

    /// The table.
    pub const fn roles(self) -> &'static [Role] {
        use Role::{Chef, Guest, Manager, Owner, Waiter};
        match self {
            Permission::MenuRead => &[Guest, Waiter, Chef, Manager],
            Permission::OrderPlace => &[Guest, Waiter, Manager],
            Permission::OrderReadOwn => &[Guest, Waiter, Chef, Manager],
            Permission::OrderReadAny => &[Waiter, Chef, Manager],
            Permission::OrderServe => &[Waiter, Manager],
            Permission::KitchenRead => &[Waiter, Chef, Manager],
            Permission::KitchenDirect | Permission::PantryRead => &[Chef, Manager],
            Permission::OrderRefund | Permission::LedgerRead | Permission::LedgerClose => &[Manager],
            Permission::StackRead
            | Permission::StackChange
            | Permission::JourneySend
            | Permission::StaffManage
            | Permission::TokenManage
            | Permission::BackupManage
            | Permission::ConfigurationLoad => &[Owner],
        }
    }
}

/// What the owner lets an API token do in their place. No scope lets one make tokens, set passwords, make or restore
/// backups, or load the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Look at everything.
    Read,
    /// Change settings, faults, instances and upstreams, roll out, and empty the cache.
    Change,
    /// Send journeys and load.
    Send,
}

impl Scope {
    pub const ALL: [Scope; 3] = [Scope::Read, Scope::Change, Scope::Send];

    pub const fn id(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Change => "change",
            Scope::Send => "send",
        }
    }

    pub fn from_id(id: &str) -> Option<Scope> {
        Scope::ALL.into_iter().find(|scope| scope.id() == id)
    }

    /// The one that is needed for `permission`; None: it is the owner's alone.
    pub const fn needed(permission: Permission) -> Option<Scope> {
        match permission {
            Permission::StackRead => Some(Scope::Read),
            Permission::StackChange => Some(Scope::Change),
            Permission::JourneySend => Some(Scope::Send),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_manager_reads_the_ledger() {
        let readers: Vec<_> = Role::BISTRO.into_iter().filter(|role| role.may(Permission::LedgerRead)).collect();
        assert_eq!(readers, [Role::Manager]);
    }

    #[test]
    fn nobody_of_the_restaurant_touches_the_console_and_the_other_way_round() {
        for permission in Permission::ALL {
            let owner = Role::Owner.may(permission);
            let bistro = Role::BISTRO.into_iter().any(|role| role.may(permission));
            assert!(owner != bistro, "{}", permission.id());
        }
    }
}
