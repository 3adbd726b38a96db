#define _GNU_SOURCE
#include "ctun.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

_Static_assert(CTUN_READ == EPOLLIN && CTUN_WRITE == EPOLLOUT, "epoll's bits");
_Static_assert(CTUN_ERROR == EPOLLERR && CTUN_HANGUP == EPOLLHUP, "epoll's bits");

int ctun_epoll_open(void) {
    int fd = epoll_create1(EPOLL_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int control(int epoll, int operation, int fd, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    return epoll_ctl(epoll, operation, fd, &event) < 0 ? -errno : 0;
}

int ctun_epoll_add(int epoll, int fd, uint32_t events, uint64_t token) {
    return control(epoll, EPOLL_CTL_ADD, fd, events, token);
}

int ctun_epoll_modify(int epoll, int fd, uint32_t events, uint64_t token) {
    return control(epoll, EPOLL_CTL_MOD, fd, events, token);
}

int ctun_epoll_remove(int epoll, int fd) { return control(epoll, EPOLL_CTL_DEL, fd, 0, 0); }

int ctun_epoll_wait(int epoll, struct ctun_event *events, size_t n, int milliseconds) {
    struct epoll_event ready[64];
    int count = epoll_wait(epoll, ready, n < 64 ? (int)n : 64, milliseconds);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        events[i].token = ready[i].data.u64;
        events[i].events = ready[i].events;
    }
    return count;
}

int ctun_eventfd_open(void) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int ctun_eventfd_signal(int fd) {
    uint64_t one = 1;
    // EAGAIN means that the counter is full, and so that the reader will wake anyway.
    return write(fd, &one, sizeof one) < 0 && errno != EAGAIN ? -errno : 0;
}

int ctun_eventfd_take(int fd) {
    uint64_t count;
    if (read(fd, &count, sizeof count) >= 0) return 1;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int ctun_timerfd_open(void) {
    int fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int ctun_timerfd_set(int fd, int64_t nanoseconds) {
    struct itimerspec when = {0};
    if (nanoseconds >= 0) {
        // All zero would disarm.
        if (nanoseconds == 0) nanoseconds = 1;
        when.it_value.tv_sec = nanoseconds / 1000000000;
        when.it_value.tv_nsec = nanoseconds % 1000000000;
    }
    return timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL) < 0 ? -errno : 0;
}

int ctun_signalfd_open(const int32_t *signals, size_t n) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < n; i++) {
        if (sigaddset(&set, signals[i]) < 0) return -errno;
    }
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) return -errno;
    int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (error) {
        close(fd);
        return -error;
    }
    return fd;
}

int ctun_signalfd_read(int fd) {
    struct signalfd_siginfo info;
    ssize_t count = read(fd, &info, sizeof info);
    if (count == (ssize_t)sizeof info) return (int)info.ssi_signo;
    return count >= 0 || errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

int64_t ctun_boot_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t ctun_monotonic_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

struct ctun_time ctun_wall_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (struct ctun_time){now.tv_sec, (int32_t)now.tv_nsec};
}

int ctun_process_open(int process) {
    long fd = syscall(SYS_pidfd_open, process, 0); // close-on-exec by itself
    return fd < 0 ? -errno : (int)fd;
}

int ctun_process_kill(int process) { return syscall(SYS_pidfd_send_signal, process, SIGKILL, NULL, 0) < 0 ? -errno : 0; }

int ctun_name_thread(const uint8_t *name, size_t n) {
    char text[16];
    if (n >= sizeof text) return -EINVAL;
    memcpy(text, name, n);
    text[n] = 0;
    return -pthread_setname_np(pthread_self(), text);
}
