#define _GNU_SOURCE
#include "udp_context.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <unistd.h>

// An outlet sends from the socket's port and takes none of what arrives there: it is bound to a group that nobody joins.
// Of a group's address the kernel takes the port and not the address to send from.

/// 239.255.0.0 and ff1e::, which are for anybody's use (RFC 2365, RFC 4291).
static const struct ctun_address v4_group = {.low = 0xefff0000, .family = 4};
static const struct ctun_address v6_group = {.high = 0xff1e000000000000, .family = 6};

static int configure(const struct ctun_udp *udp, int fd) {
    if (ctun_set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_SIZE) < 0) {
        (void)ctun_set(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_SIZE);
    }
    // Somebody else on this machine may join the group all the same.
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog filter = {.len = 1, .filter = &nothing};
    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) < 0) return -errno;
    int result;
    if (udp->family == 4) {
        (void)ctun_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
        // With it a send says that a queue was full. ICMP errors go to the socket that has the address.
        result = ctun_set(fd, IPPROTO_IP, IP_RECVERR, 1);
    } else {
        result = ctun_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        if (result == 0) result = ctun_set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    }
    if (result == 0 && udp->mark != 0) result = ctun_set(fd, SOL_SOCKET, SO_MARK, (int)udp->mark);
    return result;
}

static int bind_beside(const struct ctun_udp *udp, int fd) {
    struct ctun_address group = udp->family == 4 ? v4_group : v6_group;
    group.low += (uint64_t)udp->outlet_count;
    group.port = udp->port;
    union socket_address name;
    socklen_t size = ctun_encode_address(&group, &name);
    int result = ctun_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    // Both must let the port be shared, but only for this moment: nobody else is to get in.
    if (result == 0) result = ctun_set(udp->fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (result < 0) return result;
    result = bind(fd, &name.any, size) < 0 ? -errno : 0;
    (void)ctun_set(udp->fd, SOL_SOCKET, SO_REUSEADDR, 0);
    (void)ctun_set(fd, SOL_SOCKET, SO_REUSEADDR, 0);
    return result;
}

int ctun_udp_open_outlet(struct ctun_udp *udp) {
    if (udp->outlet_count == CTUN_OUTLETS) return -ENOBUFS;
    int fd = socket(udp->family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    if (fd < 0) return -errno;
    int result = configure(udp, fd);
    if (result == 0) result = bind_beside(udp, fd);
    if (result < 0) {
        close(fd);
        return result;
    }
    udp->outlets[udp->outlet_count] = fd;
    return udp->outlet_count++;
}

int64_t ctun_udp_outstanding(const struct ctun_udp *udp, int outlet) {
    int bytes = 0;
    if (outlet < 0 || outlet >= udp->outlet_count || ioctl(udp->outlets[outlet], SIOCOUTQ, &bytes) < 0) return 0;
    return bytes;
}

int64_t ctun_udp_send_buffer(const struct ctun_udp *udp, int outlet) {
    int bytes = 0;
    socklen_t size = sizeof bytes;
    if (outlet < 0 || outlet >= udp->outlet_count) return 0;
    return getsockopt(udp->outlets[outlet], SOL_SOCKET, SO_SNDBUF, &bytes, &size) < 0 ? 0 : bytes;
}
