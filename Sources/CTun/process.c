#define _GNU_SOURCE
#include "ctun.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

int ctun_fork(void) {
    sigset_t all, before;
    sigfillset(&all);
    int error = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (error) return -error;
    pid_t process = fork();
    if (process == 0) return 0;
    error = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return process < 0 ? -error : process;
}

// In the child of a process with threads: only what may be called in a signal handler.
static void become(int program, char *const *words, char *const *environment, int channel, int report) {
    sigset_t none;
    sigemptyset(&none);
    // A terminal's signals are for whoever began us.
    (void)setpgid(0, 0);
    (void)signal(SIGPIPE, SIG_DFL);
    int32_t error = -EBADF;
    if (fcntl(channel, F_SETFD, 0) == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0) {
        fexecve(program, words, environment);
        error = -errno;
    }
    (void)!write(report, &error, sizeof error);
    _exit(127);
}

int ctun_spawn_apart(int program, char *const *words, char *const *environment, int channel) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) < 0) return -errno;
    pid_t between = fork();
    if (between == 0) {
        pid_t process = fork();
        if (process == 0) become(program, words, environment, channel, report[1]);
        int32_t result = process < 0 ? -errno : process;
        (void)!write(report[1], &result, sizeof result);
        _exit(0);
    }
    int error = errno;
    close(report[1]);
    int32_t said, process = between < 0 ? -error : -ECHILD, failure = 0;
    for (;;) {
        ssize_t count = read(report[0], &said, sizeof said);
        if (count < 0 && errno == EINTR) continue;
        if (count != sizeof said) break;
        if (said > 0) process = said; else failure = said;
    }
    close(report[0]);
    if (between > 0) while (waitpid(between, NULL, 0) < 0 && errno == EINTR) {}
    return failure < 0 ? failure : process;
}

int ctun_secret_memory(uint64_t size, int secret) {
    int fd = secret ? (int)syscall(SYS_memfd_secret, O_CLOEXEC)
                    : memfd_create("gateway state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -errno;
    int failed = ftruncate(fd, (off_t)size);
    // The size of the other kind can't be changed any more by itself.
    if (!failed && !secret) failed = fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    if (!failed) return fd;
    int error = errno;
    close(fd);
    return -error;
}

int ctun_close_others(const int32_t *kept, size_t n) {
    // `kept` is sorted; 0 to 2 stay.
    unsigned first = 3;
    for (size_t i = 0; i <= n; i++) {
        unsigned end = i < n ? (unsigned)kept[i] : ~0U;
        if (end > first || i == n) {
            if (syscall(SYS_close_range, first, i < n ? end - 1 : end, 0) < 0) {
                if (errno != ENOSYS) return -errno;
                long most = sysconf(_SC_OPEN_MAX);
                for (unsigned fd = first; fd < (i < n ? end : (unsigned)most); fd++) close((int)fd);
            }
        }
        first = end + 1;
    }
    return 0;
}

int ctun_name_process(uint8_t *space, size_t n, const uint8_t *title, size_t m) {
    if (n == 0) return -EINVAL;
    // The kernel shows what stands here, to the last byte if that is 0.
    memset(space, 0, n);
    memcpy(space, title, m < n ? m : n - 1);
    char name[16] = {0};
    memcpy(name, title, m < sizeof name - 1 ? m : sizeof name - 1);
    return prctl(PR_SET_NAME, name) < 0 ? -errno : 0;
}

int ctun_channel_pair(int32_t *ends, size_t n) {
    int pair[2];
    if (n < 2) return -EINVAL;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
    ends[0] = pair[0];
    ends[1] = pair[1];
    return 0;
}

union control {
    struct cmsghdr header;
    char space[CMSG_SPACE(4 * sizeof(int))];
};

int ctun_channel_send(int fd, const uint8_t *bytes, size_t n, int descriptor) {
    size_t done = 0;
    while (done < n) {
        struct iovec piece = {(void *)(bytes + done), n - done};
        struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
        union control control;
        memset(&control, 0, sizeof control);
        if (descriptor >= 0 && done == 0) {
            message.msg_control = &control;
            message.msg_controllen = CMSG_SPACE(sizeof(int));
            struct cmsghdr *header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
        }
        ssize_t count = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return -errno;
        done += (size_t)count;
    }
    return 0;
}

// Keeps the first descriptor that came if there is none yet, and closes the others.
static void take_descriptors(struct msghdr *message, int32_t *descriptor) {
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (*descriptor < 0) *descriptor = fd; else close(fd);
        }
    }
}

int ctun_channel_receive(int fd, uint8_t *bytes, size_t n, int milliseconds, int32_t *descriptor, size_t m) {
    size_t done = 0;
    if (m < 1) return -EINVAL;
    while (done < n) {
        if (milliseconds >= 0) {
            struct pollfd wait = {.fd = fd, .events = POLLIN};
            int ready = poll(&wait, 1, milliseconds);
            if (ready == 0) return -ETIMEDOUT;
            if (ready < 0 && errno != EINTR) return -errno;
            if (ready < 0) continue;
        }
        struct iovec piece = {bytes + done, n - done};
        union control control;
        struct msghdr message = {
            .msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t count = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return -errno;
        take_descriptors(&message, descriptor);
        if (count == 0) return -ECONNRESET;
        done += (size_t)count;
    }
    return 0;
}
