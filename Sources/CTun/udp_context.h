// What the parts of the UDP socket share. Not part of the module.
#ifndef CTUN_UDP_CONTEXT_H
#define CTUN_UDP_CONTEXT_H

#include "ctun.h"

#include <netinet/in.h>
#include <sys/socket.h>

/// Bytes that each socket's buffers are to have.
enum { BUFFER_SIZE = 1 << 20 };

/// Room for the control messages of one datagram, each way.
enum { CONTROL_SIZE = 256 };

struct control {
    _Alignas(struct cmsghdr) unsigned char bytes[CONTROL_SIZE];
};

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/// The datagrams that message `i` of a batch carries, so that its end can be told to its run.
struct message_origin {
    size_t run;
    uint32_t offset;
    uint32_t length;
};

struct ctun_udp {
    int fd;
    /// The sockets to send from: the first is `fd`.
    int outlets[CTUN_OUTLETS];
    int outlet_count;
    uint32_t mark;
    int family;
    uint16_t port;
    uint8_t has_segment;
    uint8_t send_offload;
    /// Of each outlet, whether what it sends must not be cut on the way; and whether anything was sent so, which lets the first one
    /// hear of ICMP errors.
    uint8_t is_whole[CTUN_OUTLETS];
    uint8_t has_whole;
    /// Runs refused since one last went out with UDP_SEGMENT.
    uint32_t refusals;
    uint32_t overflows;

    struct mmsghdr headers[CTUN_BATCH];
    struct iovec pieces[CTUN_BATCH];
    union socket_address names[CTUN_BATCH];
    struct control controls[CTUN_BATCH];
    struct message_origin origins[CTUN_BATCH];
};

/// Whether a call that failed with this errno may have been told of an ICMP error that has nothing to do with it: the
/// kernel gives each to the next call, once, whichever it is (IP_RECVERR).
int ctun_may_be_told(int error);

/// Sets an option that is an int; 0 or -errno.
int ctun_set(int fd, int level, int option, int value);

socklen_t ctun_encode_address(const struct ctun_address *address, union socket_address *out);
struct ctun_address ctun_decode_address(const union socket_address *address);
struct ctun_address ctun_decode_v4(struct in_addr address);
struct ctun_address ctun_decode_v6(const struct in6_addr *address);
void ctun_encode_v6(const struct ctun_address *address, struct in6_addr *out);

#endif
