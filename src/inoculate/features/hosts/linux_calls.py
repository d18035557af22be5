"""Linux system calls: names by number on two architectures, and what each is for.

References:
    Linux 6.x, arch/x86/entry/syscalls/syscall_64.tbl and syscall_32.tbl: the numbers, which never
    change once given. Call names without their ABI's suffix (``fstat64``, ``geteuid32``,
    ``clock_gettime_time64``) are the same call to us, so that traces of two architectures agree.
"""

from collections.abc import Iterator
from functools import cache

_X86_64 = """
0: read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction
rt_sigprocmask rt_sigreturn ioctl pread64 pwrite64 readv writev access pipe select sched_yield
mremap msync mincore madvise shmget shmat shmctl dup dup2 pause nanosleep getitimer alarm
setitimer getpid sendfile socket connect accept sendto recvfrom sendmsg recvmsg shutdown bind
listen getsockname getpeername socketpair setsockopt getsockopt clone fork vfork execve exit wait4
kill uname semget semop semctl shmdt msgget msgsnd msgrcv msgctl fcntl flock fsync fdatasync
truncate ftruncate getdents getcwd chdir fchdir rename mkdir rmdir creat link unlink symlink
readlink chmod fchmod chown fchown lchown umask gettimeofday getrlimit getrusage sysinfo times
ptrace getuid syslog getgid setuid setgid geteuid getegid setpgid getppid getpgrp setsid setreuid
setregid getgroups setgroups setresuid getresuid setresgid getresgid getpgid setfsuid setfsgid
getsid capget capset rt_sigpending rt_sigtimedwait rt_sigqueueinfo rt_sigsuspend sigaltstack utime
mknod uselib personality ustat statfs fstatfs sysfs getpriority setpriority sched_setparam
sched_getparam sched_setscheduler sched_getscheduler sched_get_priority_max sched_get_priority_min
sched_rr_get_interval mlock munlock mlockall munlockall vhangup modify_ldt pivot_root _sysctl
prctl arch_prctl adjtimex setrlimit chroot sync acct settimeofday mount umount2 swapon swapoff
reboot sethostname setdomainname iopl ioperm create_module init_module delete_module
get_kernel_syms query_module quotactl nfsservctl getpmsg putpmsg afs_syscall tuxcall security
gettid readahead setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr listxattr llistxattr
flistxattr removexattr lremovexattr fremovexattr tkill time futex sched_setaffinity
sched_getaffinity set_thread_area io_setup io_destroy io_getevents io_submit io_cancel
get_thread_area lookup_dcookie epoll_create epoll_ctl_old epoll_wait_old remap_file_pages
getdents64 set_tid_address restart_syscall semtimedop fadvise64 timer_create timer_settime
timer_gettime timer_getoverrun timer_delete clock_settime clock_gettime clock_getres
clock_nanosleep exit_group epoll_wait epoll_ctl tgkill utimes vserver mbind set_mempolicy
get_mempolicy mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr kexec_load
waitid add_key request_key keyctl ioprio_set ioprio_get inotify_init inotify_add_watch
inotify_rm_watch migrate_pages openat mkdirat mknodat fchownat futimesat newfstatat unlinkat
renameat linkat symlinkat readlinkat fchmodat faccessat pselect6 ppoll unshare set_robust_list
get_robust_list splice tee sync_file_range vmsplice move_pages utimensat epoll_pwait signalfd
timerfd_create eventfd fallocate timerfd_settime timerfd_gettime accept4 signalfd4 eventfd2
epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev rt_tgsigqueueinfo perf_event_open recvmmsg
fanotify_init fanotify_mark prlimit64 name_to_handle_at open_by_handle_at clock_adjtime syncfs
sendmmsg setns getcpu process_vm_readv process_vm_writev kcmp finit_module sched_setattr
sched_getattr renameat2 seccomp getrandom memfd_create kexec_file_load bpf execveat userfaultfd
membarrier mlock2 copy_file_range preadv2 pwritev2 pkey_mprotect pkey_alloc pkey_free statx
io_pgetevents rseq 424: pidfd_send_signal io_uring_setup io_uring_enter io_uring_register
open_tree move_mount fsopen fsconfig fsmount fspick pidfd_open clone3 close_range openat2
pidfd_getfd faccessat2 process_madvise epoll_pwait2 mount_setattr quotactl_fd
landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_secret process_mrelease
futex_waitv set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake futex_wait
futex_requeue statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal
"""

_I386 = """
0: restart_syscall exit fork read write open close waitpid creat link unlink execve chdir time
mknod chmod lchown break oldstat lseek getpid mount umount setuid getuid stime ptrace alarm
oldfstat pause utime stty gtty access nice ftime sync kill rename mkdir rmdir dup pipe times prof
brk setgid getgid signal geteuid getegid acct umount2 lock ioctl fcntl mpx setpgid ulimit
oldolduname umask chroot ustat dup2 getppid getpgrp setsid sigaction sgetmask ssetmask setreuid
setregid sigsuspend sigpending sethostname setrlimit getrlimit getrusage gettimeofday settimeofday
getgroups setgroups select symlink oldlstat readlink uselib swapon reboot readdir mmap munmap
truncate ftruncate fchmod fchown getpriority setpriority profil statfs fstatfs ioperm socketcall
syslog setitimer getitimer stat lstat fstat olduname iopl vhangup idle vm86old wait4 swapoff
sysinfo ipc fsync sigreturn clone setdomainname uname modify_ldt adjtimex mprotect sigprocmask
create_module init_module delete_module get_kernel_syms quotactl getpgid fchdir bdflush sysfs
personality afs_syscall setfsuid setfsgid _llseek getdents _newselect flock msync readv writev
getsid fdatasync _sysctl mlock munlock mlockall munlockall sched_setparam sched_getparam
sched_setscheduler sched_getscheduler sched_yield sched_get_priority_max sched_get_priority_min
sched_rr_get_interval nanosleep mremap setresuid getresuid vm86 query_module poll nfsservctl
setresgid getresgid prctl rt_sigreturn rt_sigaction rt_sigprocmask rt_sigpending rt_sigtimedwait
rt_sigqueueinfo rt_sigsuspend pread64 pwrite64 chown getcwd capget capset sigaltstack sendfile
getpmsg putpmsg vfork ugetrlimit mmap2 truncate64 ftruncate64 stat64 lstat64 fstat64 lchown32
getuid32 getgid32 geteuid32 getegid32 setreuid32 setregid32 getgroups32 setgroups32 fchown32
setresuid32 getresuid32 setresgid32 getresgid32 chown32 setuid32 setgid32 setfsuid32 setfsgid32
pivot_root mincore madvise getdents64 fcntl64 224: gettid readahead setxattr lsetxattr fsetxattr
getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr
tkill sendfile64 futex sched_setaffinity sched_getaffinity set_thread_area get_thread_area
io_setup io_destroy io_getevents io_submit io_cancel fadvise64 252: exit_group lookup_dcookie
epoll_create epoll_ctl epoll_wait remap_file_pages set_tid_address timer_create timer_settime
timer_gettime timer_getoverrun timer_delete clock_settime clock_gettime clock_getres
clock_nanosleep statfs64 fstatfs64 tgkill utimes fadvise64_64 vserver mbind get_mempolicy
set_mempolicy mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr kexec_load
waitid 286: add_key request_key keyctl ioprio_set ioprio_get inotify_init inotify_add_watch
inotify_rm_watch migrate_pages openat mkdirat mknodat fchownat futimesat fstatat64 unlinkat
renameat linkat symlinkat readlinkat fchmodat faccessat pselect6 ppoll unshare set_robust_list
get_robust_list splice sync_file_range tee vmsplice move_pages getcpu epoll_pwait utimensat
signalfd timerfd_create eventfd fallocate timerfd_settime timerfd_gettime signalfd4 eventfd2
epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev rt_tgsigqueueinfo perf_event_open recvmmsg
fanotify_init fanotify_mark prlimit64 name_to_handle_at open_by_handle_at clock_adjtime syncfs
sendmmsg setns process_vm_readv process_vm_writev kcmp finit_module sched_setattr sched_getattr
renameat2 seccomp getrandom memfd_create bpf execveat socket socketpair bind connect listen
accept4 getsockopt setsockopt getsockname getpeername sendto sendmsg recvfrom recvmsg shutdown
userfaultfd membarrier mlock2 copy_file_range preadv2 pwritev2 pkey_mprotect pkey_alloc pkey_free
statx arch_prctl io_pgetevents rseq 393: semget semctl shmget shmctl shmat shmdt msgget msgsnd
msgrcv msgctl clock_gettime64 clock_settime64 clock_adjtime64 clock_getres_time64
clock_nanosleep_time64 timer_gettime64 timer_settime64 timerfd_gettime64 timerfd_settime64
utimensat_time64 pselect6_time64 ppoll_time64 416: io_pgetevents_time64 recvmmsg_time64
mq_timedsend_time64 mq_timedreceive_time64 semtimedop_time64 rt_sigtimedwait_time64 futex_time64
sched_rr_get_interval_time64 pidfd_send_signal io_uring_setup io_uring_enter io_uring_register
open_tree move_mount fsopen fsconfig fsmount fspick pidfd_open clone3 close_range openat2
pidfd_getfd faccessat2 process_madvise epoll_pwait2 mount_setattr quotactl_fd
landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_secret process_mrelease
futex_waitv set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake futex_wait
futex_requeue statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal
"""

_SAME = {
    "_llseek": "lseek",
    "_newselect": "select",
    "fadvise64_64": "fadvise64",
    "fstatat": "newfstatat",
    "fstatat64": "newfstatat",
    "getdents64": "getdents",
    "mmap2": "mmap",
    "ugetrlimit": "getrlimit",
}
_SUFFIXES = ("_time64", "64", "32")

_CATEGORIES = {
    "file": """
    open openat openat2 creat read write readv writev pread64 pwrite64 preadv pwritev preadv2
    pwritev2 lseek sendfile copy_file_range splice tee vmsplice truncate ftruncate fallocate
    fsync fdatasync sync syncfs sync_file_range readahead fadvise64 close close_range cachestat
    open_by_handle_at name_to_handle_at flock io_setup io_submit io_getevents io_pgetevents
    io_destroy io_cancel io_uring_setup io_uring_enter io_uring_register memfd_create
    memfd_secret
    """,
    "directory": """
    stat lstat fstat newfstatat statx access faccessat faccessat2 getdents readdir readlink
    readlinkat getcwd chdir fchdir mkdir mkdirat rmdir rename renameat renameat2 link linkat
    unlink unlinkat symlink symlinkat mknod mknodat chmod fchmod fchmodat fchmodat2 chown fchown
    lchown fchownat umask utime utimes futimesat utimensat statfs fstatfs getxattr lgetxattr
    fgetxattr setxattr lsetxattr fsetxattr listxattr llistxattr flistxattr removexattr
    lremovexattr fremovexattr inotify_init inotify_init1 inotify_add_watch inotify_rm_watch
    fanotify_init fanotify_mark oldstat oldlstat oldfstat lookup_dcookie ustat
    """,
    "network": """
    socket socketcall socketpair connect accept accept4 bind listen sendto recvfrom sendmsg
    recvmsg sendmmsg recvmmsg send recv shutdown getsockname getpeername setsockopt getsockopt
    sethostname setdomainname
    """,
    "process": """
    fork vfork clone clone3 execve execveat exit exit_group wait4 waitid waitpid getpid getppid
    gettid getpgid setpgid getpgrp setsid getsid kcmp pidfd_open pidfd_getfd pidfd_send_signal
    prctl arch_prctl personality ptrace process_vm_readv process_vm_writev process_madvise
    process_mrelease set_tid_address set_robust_list get_robust_list rseq set_thread_area
    get_thread_area unshare setns sched_yield sched_setaffinity sched_getaffinity
    sched_setscheduler sched_getscheduler sched_setparam sched_getparam sched_setattr
    sched_getattr sched_get_priority_max sched_get_priority_min sched_rr_get_interval
    getpriority setpriority nice ioprio_get ioprio_set getrlimit setrlimit prlimit64 getrusage
    getcpu membarrier vm86 vm86old modify_ldt uselib acct
    """,
    "memory": """
    mmap munmap mprotect pkey_mprotect pkey_alloc pkey_free mremap brk madvise mincore msync
    mlock mlock2 munlock mlockall munlockall remap_file_pages mbind set_mempolicy get_mempolicy
    set_mempolicy_home_node migrate_pages move_pages map_shadow_stack mseal userfaultfd swapon
    swapoff
    """,
    "signal": """
    rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigqueueinfo
    rt_tgsigqueueinfo rt_sigsuspend sigaltstack sigaction sigprocmask sigreturn sigpending
    sigsuspend signal sgetmask ssetmask kill tkill tgkill pause restart_syscall signalfd
    signalfd4 alarm
    """,
    "time": """
    time times gettimeofday settimeofday stime ftime adjtimex clock_adjtime clock_gettime
    clock_settime clock_getres clock_nanosleep nanosleep getitimer setitimer timer_create
    timer_settime timer_gettime timer_getoverrun timer_delete timerfd_create timerfd_settime
    timerfd_gettime
    """,
    "ipc": """
    pipe pipe2 futex futex_waitv futex_wake futex_wait futex_requeue ipc shmget shmat shmctl
    shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink
    mq_timedsend mq_timedreceive mq_notify mq_getsetattr eventfd eventfd2
    """,
    "descriptor": """
    select pselect6 poll ppoll epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait
    epoll_pwait2 epoll_ctl_old epoll_wait_old dup dup2 dup3 fcntl ioctl
    """,
    "identity": """
    getuid geteuid getgid getegid setuid setgid setreuid setregid setresuid setresgid getresuid
    getresgid setfsuid setfsgid getgroups setgroups capget capset seccomp keyctl add_key
    request_key landlock_create_ruleset landlock_add_rule landlock_restrict_self
    lsm_get_self_attr lsm_set_self_attr lsm_list_modules
    """,
    "system": """
    uname olduname oldolduname sysinfo syslog sysfs _sysctl reboot mount umount umount2
    mount_setattr move_mount open_tree fsopen fsconfig fsmount fspick pivot_root chroot
    statmount listmount init_module finit_module delete_module create_module query_module
    get_kernel_syms kexec_load kexec_file_load bpf perf_event_open quotactl quotactl_fd
    getrandom ioperm iopl vhangup nfsservctl idle bdflush
    """,
}

CATEGORIES = tuple(_CATEGORIES)
"""What a call is for."""

ARCHITECTURES = ("x86_64", "i386")


def call_name(number: int, architecture: str = "x86_64") -> str:
    """Return the name of a call by its number; ``#335`` for a number that has none.

    Args:
        number: 0 or larger.
        architecture: one of ``ARCHITECTURES``.
    """
    return _numbered(architecture).get(number) or f"#{number}"


@cache
def _numbered(architecture: str) -> dict[int, str]:
    return dict(_entries(_I386 if architecture == "i386" else _X86_64))


def _entries(table: str) -> Iterator[tuple[int, str]]:
    number = 0
    for word in table.split():
        if word.endswith(":"):
            number = int(word[:-1])
        else:
            yield number, word
            number += 1


@cache
def same_calls() -> dict[str, str]:
    """Return the common name of each call that an architecture names in its own way."""
    common = set(_numbered("x86_64").values())
    same = dict(_SAME)
    for name in sorted(set(_numbered("i386").values()) | common):
        bare = next((name.removesuffix(s) for s in _SUFFIXES if name.endswith(s)), name)
        if name not in same and bare != name and bare in common:
            same[name] = bare
    return same


@cache
def call_categories() -> dict[str, str]:
    """Return the category of each known call, by its common name; "" for calls long gone."""
    same = same_calls()
    names = (n for a in ARCHITECTURES for n in _numbered(a).values())
    known = {same.get(n, n): "" for n in names}
    return known | {n: kind for kind, some in _CATEGORIES.items() for n in some.split()}
