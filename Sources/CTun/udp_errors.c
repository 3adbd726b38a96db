#define _GNU_SOURCE
#include "udp_context.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <string.h>

int ctun_may_be_told(int error) {
    switch (error) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case EPROTO:
    case EACCES:
    case EMSGSIZE: return 1;
    default: return 0;
    }
}

/// The address behind the error itself: whoever reported it.
static struct ctun_address offender(const struct cmsghdr *part, const struct sock_extended_err *error) {
    union socket_address address = {.any.sa_family = AF_UNSPEC};
    size_t size = part->cmsg_len - CMSG_LEN(sizeof *error);
    memcpy(&address, SO_EE_OFFENDER(error), size < sizeof address ? size : sizeof address);
    if (address.any.sa_family == AF_INET && size >= sizeof address.v4) return ctun_decode_v4(address.v4.sin_addr);
    if (address.any.sa_family == AF_INET6 && size >= sizeof address.v6) return ctun_decode_v6(&address.v6.sin6_addr);
    return (struct ctun_address){0};
}

int ctun_udp_take_error(struct ctun_udp *udp, struct ctun_udp_error *out, size_t n) {
    if (n < 1) return -EINVAL;
    union socket_address name;
    struct control control;
    for (;;) {
        memset(&name, 0, sizeof name);
        unsigned char quote[CTUN_QUOTE];
        struct iovec piece = {quote, sizeof quote};
        struct msghdr header = {.msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &piece, .msg_iovlen = 1,
                                .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        ssize_t quoted = recvmsg(udp->fd, &header, MSG_ERRQUEUE | MSG_DONTWAIT);
        if (quoted < 0) {
            if (errno == EINTR) continue;
            return errno == EAGAIN ? 0 : -errno;
        }
        for (struct cmsghdr *part = CMSG_FIRSTHDR(&header); part; part = CMSG_NXTHDR(&header, part)) {
            struct sock_extended_err error;
            int is_error = (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
                           (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR);
            if (!is_error || part->cmsg_len < CMSG_LEN(sizeof error)) continue;
            memcpy(&error, CMSG_DATA(part), sizeof error);
            // What the system says of its own sending came back from that call.
            if (error.ee_origin != SO_EE_ORIGIN_ICMP && error.ee_origin != SO_EE_ORIGIN_ICMP6) continue;
            *out = (struct ctun_udp_error){
                .remote = ctun_decode_address(&name),
                .offender = offender(part, (const struct sock_extended_err *)CMSG_DATA(part)),
                .type = error.ee_type, .code = error.ee_code,
                .mtu = error.ee_errno == EMSGSIZE ? error.ee_info : 0, .quoted = (uint8_t)quoted};
            memcpy(out->quote, quote, (size_t)quoted);
            return 1;
        }
    }
}
