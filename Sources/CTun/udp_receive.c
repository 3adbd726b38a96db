#define _GNU_SOURCE
#include "udp_context.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static int int_of(const struct cmsghdr *part) {
    int value;
    memcpy(&value, CMSG_DATA(part), sizeof value);
    return value;
}

static void read_v4(const struct cmsghdr *part, struct ctun_received *out) {
    if (part->cmsg_type == IP_PKTINFO && part->cmsg_len >= CMSG_LEN(sizeof(struct in_pktinfo))) {
        struct in_pktinfo info;
        memcpy(&info, CMSG_DATA(part), sizeof info);
        // ipi_addr is where the datagram was sent to; ipi_spec_dst is the address of ours that answers it, which
        // differs for broadcast.
        out->local = ctun_decode_v4(info.ipi_spec_dst);
        out->interface = (uint32_t)info.ipi_ifindex;
    } else if (part->cmsg_type == IP_TOS && part->cmsg_len >= CMSG_LEN(1)) {
        out->traffic_class = *CMSG_DATA(part);
    }
}

static void read_v6(const struct cmsghdr *part, struct ctun_received *out) {
    if (part->cmsg_type == IPV6_PKTINFO && part->cmsg_len >= CMSG_LEN(sizeof(struct in6_pktinfo))) {
        struct in6_pktinfo info;
        memcpy(&info, CMSG_DATA(part), sizeof info);
        out->local = ctun_decode_v6(&info.ipi6_addr);
        out->interface = info.ipi6_ifindex;
    } else if (part->cmsg_type == IPV6_TCLASS && part->cmsg_len >= CMSG_LEN(sizeof(int))) {
        out->traffic_class = (uint8_t)int_of(part);
    }
}

static void read_control(struct ctun_udp *udp, struct msghdr *header, struct ctun_received *out) {
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level == IPPROTO_IP) {
            read_v4(part, out);
        } else if (part->cmsg_level == IPPROTO_IPV6) {
            read_v6(part, out);
        } else if (part->cmsg_len < CMSG_LEN(sizeof(int))) {
            continue;
        } else if (part->cmsg_level == IPPROTO_UDP && part->cmsg_type == UDP_GRO) {
            int size = int_of(part);
            out->segment = size > 0 ? (uint32_t)size : 0;
        } else if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SO_RXQ_OVFL) {
            udp->overflows = (uint32_t)int_of(part);
        }
    }
}

int ctun_udp_receive(struct ctun_udp *udp, void *arena, size_t n, size_t slot, struct ctun_received *messages,
                     size_t count) {
    if (slot == 0 || n > UINT32_MAX) return -EINVAL;
    if (count > CTUN_BATCH) count = CTUN_BATCH;
    if (count > n / slot) count = n / slot;
    if (count == 0) return -EINVAL;

    for (size_t i = 0; i < count; i++) {
        udp->pieces[i] = (struct iovec){(char *)arena + i * slot, slot};
        udp->headers[i].msg_hdr = (struct msghdr){
            .msg_name = &udp->names[i],
            .msg_namelen = sizeof udp->names[i],
            .msg_iov = &udp->pieces[i],
            .msg_iovlen = 1,
            .msg_control = udp->controls[i].bytes,
            .msg_controllen = CONTROL_SIZE,
        };
    }
    int received, told = 0;
    do {
        received = recvmmsg(udp->fd, udp->headers, (unsigned)count, MSG_DONTWAIT, NULL);
    } while (received < 0 && (errno == EINTR || (ctun_may_be_told(errno) && ++told < CTUN_BATCH)));
    if (received < 0) return -errno;

    for (int i = 0; i < received; i++) {
        struct msghdr *header = &udp->headers[i].msg_hdr;
        messages[i] = (struct ctun_received){
            .offset = (uint32_t)((size_t)i * slot),
            .length = udp->headers[i].msg_len,
            .remote = ctun_decode_address(&udp->names[i]),
            .truncated = (header->msg_flags & MSG_TRUNC) != 0,
        };
        read_control(udp, header, &messages[i]);
    }
    return received;
}
