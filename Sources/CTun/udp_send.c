#define _GNU_SOURCE
#include "udp_context.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/// Runs in a row that the kernel refuses to cut before we stop asking: then it is the kernel and not the path.
enum { REFUSALS = 64 };

/// How often a call is made again that may have been told of an ICMP error.
enum { TOLD = 2 };

/// The next datagram to send: byte `offset` of run `run`.
struct cursor {
    size_t run;
    uint32_t offset;
};

static void append(struct msghdr *header, int level, int type, const void *data, size_t size) {
    struct cmsghdr *part = (struct cmsghdr *)((char *)header->msg_control + header->msg_controllen);
    memset(part, 0, CMSG_SPACE(size));
    part->cmsg_level = level;
    part->cmsg_type = type;
    part->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(part), data, size);
    header->msg_controllen += CMSG_SPACE(size);
}

static void append_source(struct msghdr *header, const struct ctun_run *run) {
    if (run->source.family == 4) {
        struct in_pktinfo info = {.ipi_ifindex = (int)run->source_interface};
        info.ipi_spec_dst.s_addr = htonl((uint32_t)run->source.low);
        append(header, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = run->source_interface};
        ctun_encode_v6(&run->source, &info.ipi6_addr);
        append(header, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
}

static int has_source(const struct ctun_run *run) {
    return run->source.family == run->remote.family && !run->source_refused;
}

static int is_whole(const struct ctun_udp *udp, const struct ctun_run *run) {
    return run->segment == 0 || run->length <= run->segment || (udp->send_offload && !run->offload_refused);
}

static uint32_t datagrams(const struct ctun_run *run, uint32_t length) {
    return run->segment == 0 || length <= run->segment ? 1 : (length + run->segment - 1) / run->segment;
}

/// Makes message `i` of what lies at `at`, and moves `at` behind it.
static void build(struct ctun_udp *udp, size_t i, const struct ctun_run *runs, struct cursor *at) {
    const struct ctun_run *run = &runs[at->run];
    uint32_t length = run->length - at->offset;
    int is_cut = is_whole(udp, run) && datagrams(run, length) > 1;
    if (!is_whole(udp, run) && length > run->segment) length = run->segment;

    struct msghdr *header = &udp->headers[i].msg_hdr;
    udp->pieces[i] = (struct iovec){(char *)(uintptr_t)run->base + at->offset, length};
    udp->origins[i] = (struct message_origin){at->run, at->offset, length};
    *header = (struct msghdr){
        .msg_name = &udp->names[i],
        .msg_namelen = ctun_encode_address(&run->remote, &udp->names[i]),
        .msg_iov = &udp->pieces[i],
        .msg_iovlen = 1,
        .msg_control = udp->controls[i].bytes,
    };
    if (has_source(run)) append_source(header, run);
    if (run->traffic_class) {
        int value = run->traffic_class;
        if (run->remote.family == 4) append(header, IPPROTO_IP, IP_TOS, &value, sizeof value);
        else append(header, IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof value);
    }
    if (is_cut) {
        uint16_t size = (uint16_t)run->segment;
        append(header, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size);
    }

    at->offset += length;
    if (at->offset >= run->length) *at = (struct cursor){at->run + 1, 0};
}

static void note_sent(struct ctun_udp *udp, size_t i, struct ctun_run *runs, struct ctun_sent *result) {
    const struct message_origin *origin = &udp->origins[i];
    uint32_t count = datagrams(&runs[origin->run], origin->length);
    if (count > 1) udp->refusals = 0;
    result->sent += count;
}

static void note_dropped(struct ctun_run *run, uint32_t count, int error, struct ctun_sent *result) {
    run->dropped += (uint16_t)count;
    run->error = error;
    result->dropped += count;
    result->error = error;
}

static void drop_message(struct ctun_udp *udp, size_t i, struct ctun_run *runs, int error, struct ctun_sent *result) {
    const struct message_origin *origin = &udp->origins[i];
    struct ctun_run *run = &runs[origin->run];
    note_dropped(run, datagrams(run, origin->length), error, result);
}

/// The socket that a run leaves by.
static int outlet_of(const struct ctun_udp *udp, const struct ctun_run *run) {
    return run->outlet < udp->outlet_count ? run->outlet : 0;
}

/// Datagrams up to this size get everywhere as they are: whether they may be cut makes no difference.
enum { SMALL = 500 };

/// What a run wants of its outlet: 1 for datagrams that are not cut, 0 for those that are if they must, -1 if it does not matter.
static int wants_whole(const struct ctun_run *run) {
    uint32_t size = run->segment != 0 && run->segment < run->length ? run->segment : run->length;
    if (run->division == CTUN_DIVIDE_FORBIDDEN) return 1;
    return size <= SMALL ? -1 : run->division == CTUN_DIVIDE_AVOIDED;
}

/// Sets whether what an outlet sends is cut on the way: by IPv4's DF, and by the kernel's own fragments of IPv6.
static void set_whole(struct ctun_udp *udp, int outlet, int whole) {
    if (whole < 0 || udp->is_whole[outlet] == whole) return;
    int fd = udp->outlets[outlet];
    if (udp->family == 4) (void)ctun_set(fd, IPPROTO_IP, IP_MTU_DISCOVER, whole ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT);
    else (void)ctun_set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, whole ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_WANT);
    udp->is_whole[outlet] = (uint8_t)whole;
    if (whole) udp->has_whole = 1;
}

static int is_source_error(int error) {
    return error == EINVAL || error == EADDRNOTAVAIL || error == ENODEV || error == ENETUNREACH ||
           error == EHOSTUNREACH || error == ENETDOWN;
}

static int send_one(struct ctun_udp *udp, int fd, size_t i) {
    ssize_t count;
    int told = 0;
    do {
        count = sendmsg(fd, &udp->headers[i].msg_hdr, MSG_DONTWAIT);
    } while (count < 0 && (errno == EINTR || (ctun_may_be_told(errno) && ++told < TOLD)));
    return count < 0 ? errno : 0;
}

/// Deals with message `i`, which failed with `error`, and moves `at` to what comes next: behind it, or to its own
/// beginning if it goes out as single datagrams.
static void recover(struct ctun_udp *udp, size_t i, int error, struct ctun_run *runs, struct cursor *at,
                    struct ctun_sent *result) {
    struct message_origin origin = udp->origins[i];
    struct ctun_run *run = &runs[origin.run];
    uint32_t count = datagrams(run, origin.length);
    *at = (struct cursor){origin.run, origin.offset};

    if (has_source(run) && is_source_error(error)) {
        run->source_refused = 1;
        struct cursor behind = *at;
        build(udp, i, runs, &behind);
        int without = send_one(udp, udp->outlets[outlet_of(udp, run)], i);
        if (without == 0) {
            note_sent(udp, i, runs, result);
            *at = behind;
            return;
        }
        // It fails without the source as well: the source is not to blame.
        run->source_refused = 0;
        error = without;
    }
    if (error == EMSGSIZE && run->division != CTUN_DIVIDE_ALLOWED) {
        run->too_big = 1;
        if (run->division == CTUN_DIVIDE_AVOIDED) {
            run->division = CTUN_DIVIDE_ALLOWED;
            return;
        }
        // It asked whether this size goes, and that is the answer.
        run->dropped += (uint16_t)count;
        at->offset += origin.length;
        if (at->offset >= run->length) *at = (struct cursor){origin.run + 1, 0};
        return;
    }
    if (count > 1 && (error == EIO || error == EINVAL || error == EMSGSIZE)) {
        run->offload_refused = 1;
        // EIO: the interface cannot checksum, whatever the size. The others blame the size, so the path, at first.
        if (error == EIO || ++udp->refusals >= REFUSALS) {
            result->offload_disabled = udp->send_offload;
            udp->send_offload = 0;
        }
        return;
    }
    note_dropped(run, count, error, result);
    at->offset += origin.length;
    if (at->offset >= run->length) *at = (struct cursor){origin.run + 1, 0};
}

/// Makes as many messages of what lies at `at` as fit a batch and leave by one outlet, and moves `at` behind them; returns
/// their number. What is for an outlet in `full` is dropped.
static size_t build_batch(struct ctun_udp *udp, struct ctun_run *runs, size_t count, struct cursor *at, uint32_t full,
                          int *outlet, struct ctun_sent *result) {
    size_t built = 0;
    int whole = -1;
    while (at->run < count && built < CTUN_BATCH) {
        struct ctun_run *run = &runs[at->run];
        int is_ours = run->remote.family == udp->family;
        int its = outlet_of(udp, run);
        if (is_ours && built > 0 && its != *outlet) break;
        if (is_ours && !(full & 1u << its)) {
            int wanted = wants_whole(run);
            if (whole >= 0 && wanted >= 0 && wanted != whole) break;
            if (wanted >= 0) whole = wanted;
            *outlet = its;
            build(udp, built++, runs, at);
            continue;
        }
        // A batch that failed in its middle is made again, and passes here again.
        if (is_ours) note_dropped(run, datagrams(run, run->length - at->offset), EAGAIN, result);
        else if (run->error == 0) note_dropped(run, datagrams(run, run->length), EAFNOSUPPORT, result);
        *at = (struct cursor){at->run + 1, 0};
    }
    if (built > 0) set_whole(udp, *outlet, whole);
    return built;
}

struct ctun_sent ctun_udp_send(struct ctun_udp *udp, struct ctun_run *runs, size_t count) {
    struct ctun_sent result = {0};
    struct cursor at = {0, 0};
    uint32_t full = 0;
    int told = 0;
    for (size_t i = 0; i < count; i++) {
        runs[i].source_refused = runs[i].offload_refused = 0;
        runs[i].dropped = 0;
        runs[i].too_big = 0;
        runs[i].error = 0;
    }

    while (at.run < count) {
        int outlet = 0;
        size_t built = build_batch(udp, runs, count, &at, full, &outlet, &result);
        size_t done = 0;
        while (done < built) {
            int sent = sendmmsg(udp->outlets[outlet], &udp->headers[done], (unsigned)(built - done), MSG_DONTWAIT);
            int error = errno;
            if (sent >= 0) {
                for (int i = 0; i < sent; i++) note_sent(udp, done + (size_t)i, runs, &result);
                done += (size_t)sent;
                told = 0;
            } else if (error == EAGAIN) {
                full |= 1u << outlet;
                while (done < built) drop_message(udp, done++, runs, error, &result);
            } else if (error == ENOBUFS) {
                // The queue of the interface is full, which is told alongside ICMP errors; the rest may go elsewhere.
                drop_message(udp, done++, runs, error, &result);
            } else if (ctun_may_be_told(error) && ++told < TOLD) {
                continue;
            } else if (error != EINTR) {
                told = 0;
                recover(udp, done, error, runs, &at, &result);
                break;
            }
        }
    }
    // ICMP errors about what must not be cut are told only while that is set.
    if (udp->has_whole) set_whole(udp, 0, 1);
    return result;
}
