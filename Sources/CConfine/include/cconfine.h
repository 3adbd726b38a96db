// What a process can give away of its own rights: capabilities and user, the filesystem (Landlock), system calls (seccomp, by
// libseccomp). Each is a result >= 0, or -errno. Call them while there is one thread: those that come later inherit.
#ifndef CCONFINE_H
#define CCONFINE_H

#include <stddef.h>
#include <stdint.h>

/// How many threads the process has.
int cconfine_threads(void);

/// Capabilities that the process has, as bits (capabilities(7)).
uint64_t cconfine_permitted(void);

/// Keeps the capabilities whose bits are in `kept` and drops all others, for good; the bounding set is emptied where that is
/// allowed. Becomes the user and the group, with no others, if `user` is not negative: that takes CAP_SETUID and CAP_SETGID.
int cconfine_drop(uint64_t kept, int64_t user, int64_t group);

/// No file, folder, TCP port, abstract socket or process outside is reached by a new call any more: the version of Landlock's
/// interface that says so, 0 where the kernel has none, or a
/// container forbids it.
int cconfine_files(void);

/// The system calls in `confine.c` are left, and no others, which fail with EPERM: how many. A kernel without is -EINVAL.
int cconfine_calls(void);

#endif
