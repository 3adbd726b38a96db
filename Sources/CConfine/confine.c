#define _GNU_SOURCE
#include "cconfine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int cconfine_threads(void) {
    DIR *folder = opendir("/proc/self/task");
    if (!folder) return -errno;
    int count = 0;
    for (struct dirent *entry; (entry = readdir(folder));) count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

// --- Capabilities ----------------------------------------------------------------------------------------------------

static int get(struct __user_cap_data_struct data[2]) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

uint64_t cconfine_permitted(void) {
    struct __user_cap_data_struct data[2] = {{0}};
    return get(data) < 0 ? 0 : data[0].permitted | (uint64_t)data[1].permitted << 32;
}

static int become(uint32_t user, uint32_t group) {
    if (setgroups(0, NULL) < 0 || setresgid(group, group, group) < 0 || setresuid(user, user, user) < 0) return -errno;
    return 0;
}

int cconfine_drop(uint64_t kept, int64_t user, int64_t group) {
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++) {
        // Without CAP_SETPCAP it stays; it is about programs that are executed, and none will be.
        (void)prctl(PR_CAPBSET_DROP, capability);
    }
    if (prctl(PR_SET_KEEPCAPS, 1L) < 0) return -errno;
    if (user >= 0) {
        int result = become((uint32_t)user, (uint32_t)group);
        if (result < 0) return result;
    }
    struct __user_cap_data_struct data[2] = {{0}};
    int result = get(data);
    if (result < 0) return result;
    for (int i = 0; i < 2; i++) {
        data[i].permitted &= (uint32_t)(kept >> (32 * i));
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    if (syscall(SYS_capset, &header, data) < 0) return -errno;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0L, 0L, 0L) < 0) return -errno;
    // Nobody looks into its memory, and what it could execute would get no more.
    if (prctl(PR_SET_KEEPCAPS, 0L) < 0 || prctl(PR_SET_DUMPABLE, 0L) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L) < 0)
        return -errno;
    return 0;
}

// --- Landlock --------------------------------------------------------------------------------------------------------
// By numbers: the headers of a Debian 12 know the first two versions.

struct ruleset {
    uint64_t files;
    uint64_t network;
    uint64_t scopes;
};

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_restrict_self 446
#endif

int cconfine_files(void) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, 1);
    // Some containers forbid to ask.
    if (version < 0) return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : -errno;
    struct ruleset rules = {.files = (1 << 13) - 1};  // execute … make_sym
    size_t size = sizeof rules.files;
    if (version >= 2) rules.files |= 1 << 13;  // refer
    if (version >= 3) rules.files |= 1 << 14;  // truncate
    if (version >= 5) rules.files |= 1 << 15;  // ioctl_dev, of devices opened from now on
    if (version >= 4) {
        rules.network = 1 << 0 | 1 << 1;  // bind_tcp, connect_tcp
        size = offsetof(struct ruleset, scopes);
    }
    if (version >= 6) {
        rules.scopes = 1 << 0 | 1 << 1;  // abstract_unix_socket, signal
        size = sizeof rules;
    }
    int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    if (fd < 0) return -errno;
    // No exception is added.
    int result = syscall(SYS_landlock_restrict_self, fd, 0) < 0 ? -errno : (int)version;
    close(fd);
    return result;
}

// --- seccomp ---------------------------------------------------------------------------------------------------------

// With any arguments. Those that a test does not see in use stand under "elsewhere".
static const char *const free_calls[] = {
    // packets and sockets that are open
    "read", "readv", "pread64", "write", "writev", "recvfrom", "recvmsg", "recvmmsg", "sendto", "sendmsg", "sendmmsg",
    "accept4", "bind", "listen", "getpeername", "getsockname", "getsockopt", "setsockopt", "shutdown", "close",
    // waiting and time
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "poll", "eventfd2", "timerfd_create", "timerfd_settime", "signalfd4",
    "clock_nanosleep", "futex", "restart_syscall",
    // memory
    "brk", "munmap", "mremap", "madvise", "mlock", "munlock", "getrandom",
    // threads and the end
    "set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "rt_sigaction", "rt_sigprocmask", "sigaltstack", "getpid",
    "gettid", "wait4", "exit", "exit_group", "getuid", "geteuid", "getgid", "getegid",
    // what a descriptor is, and the namespace that we are in
    "fstat", "newfstatat", "lseek",
    // elsewhere: other processors, kernels and C libraries
    "accept", "clock_gettime", "clock_getres", "epoll_pwait", "fstatat64", "gettimeofday", "mlock2", "nanosleep", "ppoll",
    "rt_sigreturn", "statx", "time", "membarrier", "futex_waitv", "prlimit64", "getrlimit", "dup", "dup2", "dup3",
};

static int allow_kind(scmp_filter_ctx filter, int family, int kind, int protocol) {
    return seccomp_rule_add(
        filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 3, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family, 0),
        SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, (scmp_datum_t)kind), SCMP_A2(SCMP_CMP_EQ, (scmp_datum_t)protocol, 0));
}

static int allow_argument(scmp_filter_ctx filter, int call, unsigned argument, uint64_t value) {
    struct scmp_arg_cmp compare = {.arg = argument, .op = SCMP_CMP_EQ, .datum_a = value};
    return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 1, &compare);
}

static int add_rules(scmp_filter_ctx filter) {
    int count = 0;
    int result = 0;
    for (size_t i = 0; i < sizeof free_calls / sizeof *free_calls; i++) {
        int call = seccomp_syscall_resolve_name(free_calls[i]);
        if (call == __NR_SCMP_ERROR) continue;
        // A call that this processor has not is none of the filter's.
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
        if (result == -EDOM || result == -EOPNOTSUPP) continue;
        if (result < 0) return result;
        count++;
    }
    // UDP, and netlink about interfaces and routes.
    const struct { int family, kind, protocol; } kinds[] = {
        {AF_INET, SOCK_DGRAM, 0}, {AF_INET, SOCK_DGRAM, 17}, {AF_INET6, SOCK_DGRAM, 0}, {AF_INET6, SOCK_DGRAM, 17},
        {AF_NETLINK, SOCK_RAW, NETLINK_ROUTE}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if ((result = allow_kind(filter, kinds[i].family, kinds[i].kind, kinds[i].protocol)) < 0) return result;
    const unsigned long questions[] = {
        TUNSETOFFLOAD, TUNGETIFF, TUNSETVNETHDRSZ, _IO('T', 227) /* TUNGETDEVNETNS */, SIOCGIFINDEX, SIOCGIFNAME, SIOCETHTOOL,
        SIOCOUTQ, FIONREAD, FIONBIO, TCGETS};
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++)
        if ((result = allow_argument(filter, SCMP_SYS(ioctl), 1, questions[i])) < 0) return result;
    const int about_descriptors[] = {F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC};
    for (size_t i = 0; i < sizeof about_descriptors / sizeof *about_descriptors; i++)
        if ((result = allow_argument(filter, SCMP_SYS(fcntl), 1, (uint64_t)about_descriptors[i])) < 0) return result;
    // A name for the calling thread, and one for memory (glibc 2.38).
    if ((result = allow_argument(filter, SCMP_SYS(prctl), 0, PR_SET_NAME)) < 0) return result;
    if ((result = allow_argument(filter, SCMP_SYS(prctl), 0, 0x53564d41)) < 0) return result;
    // Threads, but no processes. What clone3 is asked for can't be seen; the C library goes on with clone.
    result = seccomp_rule_add(
        filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    if (result < 0) return result;
    if ((result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0)) < 0) return result;
    // libdispatch, which SwiftNIO ends by, does not go on without: it is told that it has what it wants.
    if ((result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(0), SCMP_SYS(setpriority), 0)) < 0) return result;
    // Memory that can't be executed.
    const int about_memory[] = {SCMP_SYS(mmap), SCMP_SYS(mprotect)};
    for (size_t i = 0; i < sizeof about_memory / sizeof *about_memory; i++) {
        result = seccomp_rule_add(
            filter, SCMP_ACT_ALLOW, about_memory[i], 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        if (result < 0) return result;
    }
    // A signal to ourselves: abort().
    if ((result = allow_argument(filter, SCMP_SYS(tgkill), 0, (uint64_t)getpid())) < 0) return result;
    return count + 9;
}

int cconfine_calls(void) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (!filter) return -ENOMEM;
    int result = add_rules(filter);
    int count = result;
    if (result >= 0) {
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        // Older kernels would slow down every branch of a process with a filter.
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
        // Threads that are there already get it too.
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
        result = seccomp_load(filter);
    }
    seccomp_release(filter);
    return result < 0 ? result : count;
}
