#define _GNU_SOURCE
#include "udp_context.h"

#include <endian.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO 104
#endif

void ctun_encode_v6(const struct ctun_address *address, struct in6_addr *out) {
    uint64_t halves[2] = {htobe64(address->high), htobe64(address->low)};
    memcpy(out, halves, 16);
}

socklen_t ctun_encode_address(const struct ctun_address *address, union socket_address *out) {
    memset(out, 0, sizeof *out);
    if (address->family == 4) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(address->port);
        out->v4.sin_addr.s_addr = htonl((uint32_t)address->low);
        return sizeof out->v4;
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(address->port);
    out->v6.sin6_scope_id = address->scope;
    ctun_encode_v6(address, &out->v6.sin6_addr);
    return sizeof out->v6;
}

struct ctun_address ctun_decode_v4(struct in_addr address) {
    return (struct ctun_address){.low = ntohl(address.s_addr), .family = 4};
}

struct ctun_address ctun_decode_v6(const struct in6_addr *address) {
    uint64_t halves[2];
    memcpy(halves, address, 16);
    return (struct ctun_address){.high = be64toh(halves[0]), .low = be64toh(halves[1]), .family = 6};
}

struct ctun_address ctun_decode_address(const union socket_address *address) {
    struct ctun_address result;
    if (address->any.sa_family == AF_INET) {
        result = ctun_decode_v4(address->v4.sin_addr);
        result.port = ntohs(address->v4.sin_port);
    } else {
        result = ctun_decode_v6(&address->v6.sin6_addr);
        result.port = ntohs(address->v6.sin6_port);
        result.scope = address->v6.sin6_scope_id;
    }
    return result;
}

int ctun_set(int fd, int level, int option, int value) {
    return setsockopt(fd, level, option, &value, sizeof value) < 0 ? -errno : 0;
}

static int configure(int fd, int family, uint32_t mark) {
    // Only root gets past net.core.*mem_max; the rest take what they are given.
    if (ctun_set(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_SIZE) < 0) (void)ctun_set(fd, SOL_SOCKET, SO_RCVBUF, BUFFER_SIZE);
    if (ctun_set(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER_SIZE) < 0) (void)ctun_set(fd, SOL_SOCKET, SO_SNDBUF, BUFFER_SIZE);
    (void)ctun_set(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
    int result;
    if (family == 4) {
        result = ctun_set(fd, IPPROTO_IP, IP_PKTINFO, 1);
        (void)ctun_set(fd, IPPROTO_IP, IP_RECVTOS, 1);
        // As the kernel's WireGuard: routers may fragment, so that a path with a black hole still works.
        (void)ctun_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
        (void)ctun_set(fd, IPPROTO_IP, IP_RECVERR, 1);
    } else {
        result = ctun_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        if (result == 0) result = ctun_set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
        (void)ctun_set(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
        (void)ctun_set(fd, IPPROTO_IPV6, IPV6_RECVERR, 1);
    }
    if (result == 0 && mark != 0) result = ctun_set(fd, SOL_SOCKET, SO_MARK, (int)mark);
    return result;
}

static int bind_to(int fd, int family, uint16_t port, uint16_t *bound) {
    struct ctun_address any = {.port = port, .family = (uint8_t)family};
    union socket_address name;
    socklen_t size = ctun_encode_address(&any, &name);
    if (bind(fd, &name.any, size) < 0) return -errno;
    size = sizeof name;
    if (getsockname(fd, &name.any, &size) < 0) return -errno;
    *bound = ctun_decode_address(&name).port;
    return 0;
}

// Puts a socket into a context of its own; closes it if there is no memory.
static int wrap(int fd, int family, uint16_t port, uint32_t mark, struct ctun_udp **out) {
    struct ctun_udp *udp = calloc(1, sizeof *udp);
    if (!udp) {
        close(fd);
        return -ENOMEM;
    }
    int size;
    socklen_t length = sizeof size;
    udp->fd = udp->outlets[0] = fd;
    udp->outlet_count = 1;
    udp->mark = mark;
    udp->family = family;
    udp->port = port;
    udp->has_segment = getsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &size, &length) == 0;
    udp->send_offload = udp->has_segment;
    *out = udp;
    return 0;
}

int ctun_udp_open(int family, uint16_t port, uint32_t mark, struct ctun_udp **out) {
    int fd = socket(family == 4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);
    if (fd < 0) return -errno;
    uint16_t bound = 0;
    int result = configure(fd, family, mark);
    if (result == 0) result = bind_to(fd, family, port, &bound);
    if (result < 0) {
        close(fd);
        return result;
    }
    return wrap(fd, family, bound, mark, out);
}

int ctun_udp_adopt(int fd, int family, uint32_t dropped, struct ctun_udp **out) {
    int domain = 0, kind = 0, mark = 0;
    union socket_address name;
    socklen_t size = sizeof domain, name_size = sizeof name;
    int failed = getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0;
    if (!failed) failed = getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size) < 0;
    if (!failed) failed = getsockopt(fd, SOL_SOCKET, SO_MARK, &mark, &size) < 0;
    if (!failed) failed = getsockname(fd, &name.any, &name_size) < 0;
    int result = failed ? -errno : 0;
    if (!failed && (domain != (family == 4 ? AF_INET : AF_INET6) || kind != SOCK_DGRAM)) result = -EPROTO;
    if (result < 0) {
        close(fd);
        return result;
    }
    result = wrap(fd, family, ctun_decode_address(&name).port, (uint32_t)mark, out);
    if (result == 0) (*out)->overflows = dropped;
    return result;
}

int ctun_tcp_listen(const struct ctun_address *address) {
    int fd = socket(address->family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    union socket_address name;
    socklen_t size = ctun_encode_address(address, &name);
    (void)ctun_set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (bind(fd, &name.any, size) < 0 || listen(fd, 16) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

void ctun_udp_close(struct ctun_udp *udp) {
    if (!udp) return;
    for (int i = 0; i < udp->outlet_count; i++) close(udp->outlets[i]);
    free(udp);
}

int ctun_udp_descriptor(const struct ctun_udp *udp) { return udp->fd; }

uint16_t ctun_udp_port(const struct ctun_udp *udp) { return udp->port; }

int ctun_udp_set_mark(struct ctun_udp *udp, uint32_t mark) {
    for (int i = 0; i < udp->outlet_count; i++) {
        int result = ctun_set(udp->outlets[i], SOL_SOCKET, SO_MARK, (int)mark);
        if (result < 0) return result;
    }
    udp->mark = mark;
    return 0;
}

int ctun_udp_send_offload(const struct ctun_udp *udp) { return udp->send_offload; }

int ctun_udp_set_send_offload(struct ctun_udp *udp, int on) {
    udp->send_offload = on && udp->has_segment;
    udp->refusals = 0;
    return udp->send_offload;
}

int ctun_udp_set_receive_offload(struct ctun_udp *udp, int on) {
    int value = 0;
    socklen_t size = sizeof value;
    (void)ctun_set(udp->fd, IPPROTO_UDP, UDP_GRO, on ? 1 : 0);
    // Kernels before 5.12 cannot be asked, and their GRO has faults: there it stays off.
    if (getsockopt(udp->fd, IPPROTO_UDP, UDP_GRO, &value, &size) == 0) return value != 0;
    (void)ctun_set(udp->fd, IPPROTO_UDP, UDP_GRO, 0);
    return 0;
}

uint32_t ctun_udp_overflows(const struct ctun_udp *udp) { return udp->overflows; }
