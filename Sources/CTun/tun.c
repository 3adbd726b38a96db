#define _GNU_SOURCE
#include "ctun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

_Static_assert(sizeof(struct ctun_piece) == sizeof(struct iovec), "a piece is an iovec");
_Static_assert(offsetof(struct ctun_piece, length) == offsetof(struct iovec, iov_len), "a piece is an iovec");

enum { HEADER_SIZE = 10 };

static int set_up(int fd) {
    int size = HEADER_SIZE;
    if (ioctl(fd, TUNSETVNETHDRSZ, &size) < 0) return -errno;
    return ctun_tun_set_offloads(fd, 0);
}

int ctun_tun_open(const uint8_t *name, size_t n, int tap) {
    if (n >= IFNAMSIZ) return -ENAMETOOLONG;
    struct ifreq request = {.ifr_flags = (short)((tap ? IFF_TAP : IFF_TUN) | IFF_NO_PI | IFF_VNET_HDR)};
    memcpy(request.ifr_name, name, n);

    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return -errno;
    int result = ioctl(fd, TUNSETIFF, &request) < 0 ? -errno : set_up(fd);
    if (result < 0) {
        close(fd);
        return result;
    }
    return fd;
}

int ctun_tun_adopt(int fd) {
    struct ifreq request = {0};
    if (ioctl(fd, TUNGETIFF, &request) < 0) return -errno;
    if (!(request.ifr_flags & IFF_VNET_HDR) || !(request.ifr_flags & IFF_NO_PI)) return -EPROTO;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) return -errno;
    int result = set_up(fd);
    if (result < 0) return result;
    return request.ifr_flags & IFF_TAP ? 1 : 0;
}

int ctun_tun_name(int fd, uint8_t *name, size_t n) {
    if (n < IFNAMSIZ) return -EINVAL;
    struct ifreq request = {0};
    if (ioctl(fd, TUNGETIFF, &request) < 0) return -errno;
    memcpy(name, request.ifr_name, IFNAMSIZ);
    name[IFNAMSIZ - 1] = 0;
    return 0;
}

int ctun_tun_set_offloads(int fd, uint32_t mask) {
    return ioctl(fd, TUNSETOFFLOAD, (unsigned long)mask) < 0 ? -errno : 0;
}

long ctun_tun_read(int fd, void *frame, size_t n) {
    for (;;) {
        ssize_t count = read(fd, frame, n);
        if (count >= 0) return count;
        if (errno != EINTR) return -errno;
    }
}

long ctun_tun_write(int fd, const void *frame, size_t n) {
    struct ctun_piece piece = {frame, n};
    return ctun_tun_write_pieces(fd, &piece, 1);
}

long ctun_tun_write_pieces(int fd, const struct ctun_piece *pieces, size_t count) {
    if (count > 1024) return -EINVAL;
    for (;;) {
        ssize_t written = writev(fd, (const struct iovec *)pieces, (int)count);
        if (written >= 0) return written;
        if (errno != EINTR) return -errno;
    }
}

int ctun_tun_is_up(int fd) {
    // The driver calls itself writable while the interface is up, and failed once it is deleted.
    struct pollfd ask = {.fd = fd, .events = POLLOUT};
    if (poll(&ask, 1, 0) < 0) return -errno;
    if (ask.revents & (POLLERR | POLLNVAL)) return -EBADFD;
    return ask.revents & POLLOUT ? 1 : 0;
}

int ctun_tun_is_here(int fd) {
    int namespace = ioctl(fd, TUNGETDEVNETNS);
    if (namespace < 0) return -errno;
    struct stat its, ours;
    int failed = fstat(namespace, &its) < 0 || stat("/proc/thread-self/ns/net", &ours) < 0;
    int error = errno;
    close(namespace);
    return failed ? -error : its.st_dev == ours.st_dev && its.st_ino == ours.st_ino;
}

struct visit {
    int namespace;
    uint32_t groups;
    int result;
};

static void *open_there(void *context) {
    struct visit *visit = context;
    visit->result = setns(visit->namespace, CLONE_NEWNET) < 0 ? -errno : ctun_netlink_open(visit->groups);
    return NULL;
}

int ctun_tun_netlink_open(int fd, uint32_t groups) {
    int namespace = ioctl(fd, TUNGETDEVNETNS);
    if (namespace < 0) return -errno;
    // A thread that never comes back, so that no failure can leave the caller in a namespace that is not its own.
    struct visit visit = {namespace, groups, -EAGAIN};
    pthread_t thread;
    int error = pthread_create(&thread, NULL, open_there, &visit);
    if (error == 0) pthread_join(thread, NULL);
    close(namespace);
    return error == 0 ? visit.result : -error;
}
