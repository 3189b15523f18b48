//! What a case could still do if everything else failed: as little as the host lets us arrange.
//!
//! Done once, in the zygote: a namespace for each case costs fifteen times a fork.

use std::fs;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{chdir, chroot};

/// What is in force. Some of it depends on the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Containment {
    /// Users are others than outside.
    pub user_namespace: bool,
    /// No file of the host can be named: the root is an empty folder.
    pub mount_namespace: bool,
    /// There is no network.
    pub network_namespace: bool,
    /// No process of the host can be named.
    pub process_namespace: bool,
    /// Shared memory and message queues are others than outside.
    pub ipc_namespace: bool,
    /// No program gains privileges by being started.
    pub no_new_privileges: bool,
    /// Cases may make no system call.
    pub system_call_filter: bool,
}

impl Containment {
    /// Name of each measure, and whether it is in force.
    #[must_use]
    pub fn measures(&self) -> [(&'static str, bool); 7] {
        [
            ("user namespace", self.user_namespace),
            ("mount namespace", self.mount_namespace),
            ("network namespace", self.network_namespace),
            ("process namespace", self.process_namespace),
            ("ipc namespace", self.ipc_namespace),
            ("no new privileges", self.no_new_privileges),
            ("system call filter", self.system_call_filter),
        ]
    }

    pub(super) fn to_bits(self) -> u32 {
        let measures = self.measures().into_iter().enumerate();
        measures.filter(|(_, (_, on))| *on).map(|(bit, _)| 1 << bit).sum()
    }

    pub(super) fn from_bits(bits: u32) -> Self {
        let on = |bit: u32| bits & (1 << bit) != 0;
        Self {
            user_namespace: on(0),
            mount_namespace: on(1),
            network_namespace: on(2),
            process_namespace: on(3),
            ipc_namespace: on(4),
            no_new_privileges: on(5),
            system_call_filter: on(6),
        }
    }
}

/// Enters every namespace that the host allows. Processes that are forked afterwards are in the new process
/// namespace; this one is not.
pub(super) fn enter_namespaces() -> Containment {
    let mut now = Containment::default();
    let (user, group) = (nix::unistd::getuid(), nix::unistd::getgid());
    if unshare(CloneFlags::CLONE_NEWUSER).is_ok() {
        now.user_namespace = true;
        // Without these maps the ids are those of nobody, which is good enough.
        let _ = fs::write("/proc/self/setgroups", "deny");
        let _ = fs::write("/proc/self/uid_map", format!("{user} {user} 1"));
        let _ = fs::write("/proc/self/gid_map", format!("{group} {group} 1"));
    }
    now.network_namespace = unshare(CloneFlags::CLONE_NEWNET).is_ok();
    now.ipc_namespace = unshare(CloneFlags::CLONE_NEWIPC).is_ok();
    now.mount_namespace = unshare(CloneFlags::CLONE_NEWNS).is_ok() && empty_root().is_ok();
    now.process_namespace = unshare(CloneFlags::CLONE_NEWPID).is_ok();
    now
}

/// Makes an empty folder that cannot be written the root.
fn empty_root() -> nix::Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("none"), "/tmp", Some("tmpfs"), flags | MsFlags::MS_RDONLY, Some("size=4k"))?;
    chdir("/tmp")?;
    chroot(".")?;
    chdir("/")?;
    // Nothing of the old root can be reached by name; what is still mounted below it goes with the namespace.
    let _ = umount2("/proc", MntFlags::MNT_DETACH);
    Ok(())
}

/// Limits of the zygote that cases inherit.
///
/// # Errors
/// When one cannot be set.
pub(super) fn limit() -> nix::Result<()> {
    for resource in [Resource::RLIMIT_CORE, Resource::RLIMIT_FSIZE, Resource::RLIMIT_MEMLOCK] {
        setrlimit(resource, 0, 0)?;
    }
    Ok(())
}
