#define _GNU_SOURCE
#include "ctun.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/ethtool.h>
#include <linux/icmp.h>
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SOL_RAW
#define SOL_RAW 255
#endif

int ctun_enter_network(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int result = setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
    close(fd);
    return result;
}

int ctun_peer_credentials(int fd, struct ctun_credentials *out, size_t n) {
    struct ucred who;
    socklen_t size = sizeof who;
    if (n < 1) return -EINVAL;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) < 0) return -errno;
    *out = (struct ctun_credentials){who.pid, who.uid, who.gid};
    return 0;
}

int ctun_icmp_open(void) {
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_ICMP);
    if (fd < 0) return -errno;
    struct icmp_filter nothing = {.data = ~0U};
    if (setsockopt(fd, SOL_RAW, ICMP_FILTER, &nothing, sizeof nothing) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int ctun_icmp_send(int fd, uint32_t source, uint32_t destination, const uint8_t *message, size_t n) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(destination)};
    struct in_pktinfo from = {.ipi_spec_dst.s_addr = htonl(source)};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof from)];
    } control;
    memset(&control, 0, sizeof control);
    control.header.cmsg_level = IPPROTO_IP;
    control.header.cmsg_type = IP_PKTINFO;
    control.header.cmsg_len = CMSG_LEN(sizeof from);
    memcpy(CMSG_DATA(&control.header), &from, sizeof from);
    struct iovec piece = {(void *)message, n};
    struct msghdr whole = {
        .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &piece, .msg_iovlen = 1,
        .msg_control = &control, .msg_controllen = sizeof control};
    return sendmsg(fd, &whole, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

// As if_nametoindex and if_indextoname, but by a kind of socket that is used anyway.
static int ask_for_interface(unsigned long question, struct ifreq *request) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int result = ioctl(fd, question, request) < 0 ? -errno : 0;
    close(fd);
    return result;
}

int ctun_interface_index(const uint8_t *name, size_t n) {
    struct ifreq request = {0};
    if (n >= sizeof request.ifr_name) return -ENODEV;
    memcpy(request.ifr_name, name, n);
    int result = ask_for_interface(SIOCGIFINDEX, &request);
    return result < 0 ? result : request.ifr_ifindex;
}

int ctun_interface_name(uint32_t index, uint8_t *name, size_t n) {
    struct ifreq request = {.ifr_ifindex = (int)index};
    if (n < sizeof request.ifr_name) return -EINVAL;
    int result = ask_for_interface(SIOCGIFNAME, &request);
    memcpy(name, request.ifr_name, sizeof request.ifr_name);
    name[sizeof request.ifr_name - 1] = 0;
    return result;
}

int ctun_interface_offloads(const uint8_t *name, size_t n) {
    static const uint32_t questions[] = {ETHTOOL_GSG, ETHTOOL_GTXCSUM, ETHTOOL_GTSO, ETHTOOL_GGSO, ETHTOOL_GGRO};
    int on = 0;
    for (unsigned i = 0; i < sizeof questions / sizeof *questions; i++) {
        struct ethtool_value value = {.cmd = questions[i]};
        struct ifreq request = {0};
        if (n >= sizeof request.ifr_name) return -ENODEV;
        memcpy(request.ifr_name, name, n);
        request.ifr_data = (void *)&value;
        int result = ask_for_interface(SIOCETHTOOL, &request);
        if (result < 0) return result;
        if (value.data) on |= 1 << i;
    }
    return on;
}

int ctun_netlink_open(uint32_t groups) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0) return -errno;
    int on = 1;
    // Makes the kernel check what a dump's header asks for; old kernels lack it and lose nothing.
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    int size = 1 << 20;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int ctun_netlink_send(int fd, const uint8_t *request, size_t n) {
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    for (;;) {
        ssize_t count = sendto(fd, request, n, 0, (struct sockaddr *)&kernel, sizeof kernel);
        if (count >= 0) return (size_t)count == n ? 0 : -EMSGSIZE;
        if (errno != EINTR) return -errno;
    }
}

int ctun_netlink_receive(int fd, uint8_t *reply, size_t n, int milliseconds) {
    for (;;) {
        struct sockaddr_nl sender = {0};
        struct iovec piece = {reply, n};
        struct msghdr message = {
            .msg_name = &sender, .msg_namelen = sizeof sender, .msg_iov = &piece, .msg_iovlen = 1};
        ssize_t count = recvmsg(fd, &message, 0);
        if (count >= 0) {
            if (sender.nl_pid != 0) continue;
            return message.msg_flags & MSG_TRUNC ? -EMSGSIZE : (int)count;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN || milliseconds == 0) return -errno;
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int ready = poll(&wait, 1, milliseconds);
        if (ready == 0) return -EAGAIN;
        if (ready < 0 && errno != EINTR) return -errno;
    }
}

int ctun_file_watch_open(const uint8_t *path, size_t n) {
    char name[PATH_MAX];
    if (n >= sizeof name) return -ENAMETOOLONG;
    memcpy(name, path, n);
    name[n] = 0;
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0) return -errno;
    // A socket that is still open is not deleted by unlink, but its count of links changes, and that is an attribute.
    if (inotify_add_watch(fd, name, IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

void ctun_file_watch_take(int fd) {
    char events[4096];
    while (read(fd, events, sizeof events) > 0) continue;
}

int ctun_notify_open(const uint8_t *path, size_t n) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (n < 2 || n >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) return -EINVAL;
    memcpy(address.sun_path, path, n);
    if (path[0] == '@') address.sun_path[0] = 0;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    struct timeval limit = {.tv_sec = 1};
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) < 0 ||
        connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int ctun_notify_send(int fd, const uint8_t *text, size_t n, int wait) {
    return send(fd, text, n, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT)) < 0 ? -errno : 0;
}
