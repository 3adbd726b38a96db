// The Linux calls that Glibc's Swift module lacks, each as thin as it can be: a result >= 0, or -errno.
//
// Buffers come with their sizes, so that Swift passes spans. Sizes and counts that do not fit return -EINVAL; nothing
// here allocates except ctun_udp_open. A file descriptor that is returned is the caller's, and is close-on-exec.
#ifndef CTUN_H
#define CTUN_H

#include <lifetimebound.h>
#include <ptrcheck.h>
#include <stddef.h>
#include <stdint.h>

// --- tun.c -----------------------------------------------------------------------------------------------------------

/// A piece of a frame, laid out as `struct iovec`.
struct ctun_piece {
    const void *base;
    size_t length;
};

/// Makes the interface `name` (`n` bytes, without terminator; "%d" in it is replaced by a number) and returns its
/// non-blocking descriptor. It is TUN or, if `tap`, TAP; frames begin with a 10-byte virtio_net_hdr and carry no
/// protocol prefix. Offloads are off.
int ctun_tun_open(const uint8_t *__counted_by(n) name __noescape, size_t n, int tap);

/// Makes a TUN descriptor of someone else's non-blocking and its header 10 bytes; returns 0 for TUN and 1 for TAP.
/// -EPROTO if its frames carry no virtio_net_hdr or carry the protocol prefix: that cannot be changed afterwards.
int ctun_tun_adopt(int fd);

/// The interface's name as it is now, zero-terminated; `n` is at least 16.
int ctun_tun_name(int fd, uint8_t *__counted_by(n) name __noescape, size_t n);

/// What the kernel may hand over and accept: a mask of TUN_F_ bits, 0 for none. -EINVAL if it knows one of them not.
int ctun_tun_set_offloads(int fd, uint32_t mask);

/// One frame of at most `n` bytes; a longer one is cut. -EAGAIN if there is none, -EBADFD if the interface is gone.
long ctun_tun_read(int fd, void *__sized_by(n) frame __noescape, size_t n);

/// One frame. -EINVAL if the kernel refuses it, -EIO if the interface is down.
long ctun_tun_write(int fd, const void *__sized_by(n) frame __noescape, size_t n);

/// One frame, in at most 1024 pieces.
long ctun_tun_write_pieces(int fd, const struct ctun_piece *pieces, size_t count);

/// 1 if the interface is up, 0 if it is down, -EBADFD if it is gone; works from any network namespace.
int ctun_tun_is_up(int fd);

/// 1 if the interface is in our network namespace, 0 if it is in another. -EPERM without CAP_NET_ADMIN there, -EINVAL or
/// -ENOTTY from a kernel before 5.2.
int ctun_tun_is_here(int fd);

/// A socket of NETLINK_ROUTE in the network namespace where the interface is now, as ctun_netlink_open makes one in ours. It
/// keeps that namespace alive, so close it soon. -EPERM without CAP_SYS_ADMIN there; else as ctun_tun_is_here.
int ctun_tun_netlink_open(int fd, uint32_t groups);

// --- udp.c, udp_send.c, udp_receive.c --------------------------------------------------------------------------------

/// An address and port in host order. `family` is 4 (`low` holds the 32 bits), 6, or 0 for none.
struct ctun_address {
    uint64_t high;
    uint64_t low;
    uint32_t scope;
    uint16_t port;
    uint8_t family;
};

/// What one message brought: `length` bytes at `offset` of the arena.
struct ctun_received {
    uint32_t offset;
    uint32_t length;
    /// The size of each datagram but the last if the kernel merged several, else 0.
    uint32_t segment;
    /// The interface it came in on.
    uint32_t interface;
    struct ctun_address remote;
    /// The address it was sent to; port 0.
    struct ctun_address local;
    /// ToS or traffic class, with the ECN bits.
    uint8_t traffic_class;
    /// 1 if it did not fit its slot and was cut.
    uint8_t truncated;
};

/// Whether datagrams may be cut into fragments: they may; not on the way, and by our own interface only if it must; never.
enum { CTUN_DIVIDE_ALLOWED, CTUN_DIVIDE_AVOIDED, CTUN_DIVIDE_FORBIDDEN };

/// One or more datagrams for one place: `length` bytes at `base`, cut every `segment` bytes (0: not at all).
struct ctun_run {
    const void *base;
    uint32_t length;
    uint32_t segment;
    struct ctun_address remote;
    /// The local address to send from, or family 0 to leave it to routing; its port is not looked at.
    struct ctun_address source;
    /// The interface to send from, or 0. Used with `source` only.
    uint32_t source_interface;
    uint8_t traffic_class;
    /// The outlet to send from; 0 is the socket that receives.
    uint8_t outlet;
    /// Whether its datagrams may be cut on the way (DF): a value of CTUN_DIVIDE.
    uint8_t division;

    /// Out: 1 if `source` can no longer be sent from; the run was sent without it.
    uint8_t source_refused;
    /// Out: 1 if the kernel would not cut this run (its segments exceed the path's MTU); it went as datagrams.
    uint8_t offload_refused;
    /// Out: 1 if our own interface took its datagrams only in pieces, or, of those that must not be cut, not at all.
    uint8_t too_big;
    /// Out: datagrams of this run that were not sent, and the errno of the last of them.
    uint16_t dropped;
    int32_t error;
};

/// The most that is kept of what an ICMP error quotes.
enum { CTUN_QUOTE = 16 };

/// An ICMP error that came for a datagram.
struct ctun_udp_error {
    /// Where the datagram was sent to.
    struct ctun_address remote;
    /// Who sent the error; port 0.
    struct ctun_address offender;
    /// Of ICMP, or of ICMPv6 if `remote` is IPv6.
    uint8_t type;
    uint8_t code;
    /// The MTU that it tells of, if it is about a datagram that was too big; else 0.
    uint32_t mtu;
    /// The beginning of what the datagram carried, as far as it is quoted.
    uint8_t quote[CTUN_QUOTE];
    uint8_t quoted;
};

/// What became of one call's datagrams.
struct ctun_sent {
    uint32_t sent;
    uint32_t dropped;
    /// The errno of the last datagram dropped, or 0.
    int32_t error;
    /// 1 if this call found that the socket must do without UDP_SEGMENT, and switched it off.
    uint8_t offload_disabled;
};

/// A TCP socket that listens at the address.
int ctun_tcp_listen(const struct ctun_address *address);

/// A bound socket with the arrays for its calls. One thread at a time.
struct ctun_udp;

/// The messages one call takes at most; longer arrays are worked through in turns (send) or left alone (receive).
enum { CTUN_BATCH = 64 };

/// Opens, sets up and binds. `family` is 4 or 6 (6 only: never mapped IPv4), `port` in host order, 0 for any.
/// Returns 0 with `*out` set; release with ctun_udp_close.
int ctun_udp_open(int family, uint16_t port, uint32_t mark, struct ctun_udp **out);
/// Takes over a socket that ctun_udp_open made, here or in another process, with what was set; `dropped` is what was dropped before.
/// Closes `fd` if that fails: -EPROTO if it is of another kind.
int ctun_udp_adopt(int fd, int family, uint32_t dropped, struct ctun_udp **out);
void ctun_udp_close(struct ctun_udp *udp);

int ctun_udp_descriptor(const struct ctun_udp *udp);
uint16_t ctun_udp_port(const struct ctun_udp *udp);
int ctun_udp_set_mark(struct ctun_udp *udp, uint32_t mark);

/// Whether UDP_SEGMENT is in use; on from the start if the kernel has it. `_set_` returns what holds afterwards.
int ctun_udp_send_offload(const struct ctun_udp *udp);
int ctun_udp_set_send_offload(struct ctun_udp *udp, int on);
/// Whether UDP_GRO is on afterwards. Off at the start.
int ctun_udp_set_receive_offload(struct ctun_udp *udp, int on);

/// Datagrams that the kernel dropped before they were received, as of the last receive: the socket's buffer was full, or
/// a checksum was wrong; wraps.
uint32_t ctun_udp_overflows(const struct ctun_udp *udp);

/// Up to `count` (at most CTUN_BATCH) messages that wait, the i-th at i * slot of the arena; returns their number.
/// -EAGAIN if none waits.
int ctun_udp_receive(struct ctun_udp *udp, void *__sized_by(n) arena __noescape, size_t n, size_t slot,
                     struct ctun_received *messages, size_t count);

/// The next ICMP error that came for what was sent: 1 if there is one, 0 if there is none.
int ctun_udp_take_error(struct ctun_udp *udp, struct ctun_udp_error *__counted_by(n) out __noescape, size_t n);

/// Outlets of one socket, itself included: sockets on the same port, with a send buffer each, that receive nothing.
enum { CTUN_OUTLETS = 32 };

/// Opens another outlet and returns its number, or -errno; -ENOBUFS if there are CTUN_OUTLETS. Closed with the socket.
int ctun_udp_open_outlet(struct ctun_udp *udp);
/// Bytes of an outlet's buffer that are taken by what is still on its way to the wire, as the kernel counts them.
int64_t ctun_udp_outstanding(const struct ctun_udp *udp, int outlet);
/// Bytes of an outlet's buffer.
int64_t ctun_udp_send_buffer(const struct ctun_udp *udp, int outlet);

/// Sends every run it can, in order, and says in each what became of it. Waits for nothing: what finds its outlet's buffer
/// full is dropped (EAGAIN), and so is what else is for that outlet.
struct ctun_sent ctun_udp_send(struct ctun_udp *udp, struct ctun_run *runs, size_t count);

// --- event.c ---------------------------------------------------------------------------------------------------------

struct ctun_event {
    uint64_t token;
    uint32_t events;
};

enum { CTUN_READ = 0x001, CTUN_WRITE = 0x004, CTUN_ERROR = 0x008, CTUN_HANGUP = 0x010 };

int ctun_epoll_open(void);
int ctun_epoll_add(int epoll, int fd, uint32_t events, uint64_t token);
int ctun_epoll_modify(int epoll, int fd, uint32_t events, uint64_t token);
int ctun_epoll_remove(int epoll, int fd);
/// Waits up to `milliseconds` (-1: without end) and returns how many of the `n` entries are filled, at most 64.
/// A signal ends the wait with 0.
int ctun_epoll_wait(int epoll, struct ctun_event *__counted_by(n) events __noescape, size_t n, int milliseconds);

int ctun_eventfd_open(void);
int ctun_eventfd_signal(int fd);
/// Takes the signals that wait: 1 if there were any, 0 if none.
int ctun_eventfd_take(int fd);

/// A timer on CLOCK_BOOTTIME.
int ctun_timerfd_open(void);
/// Fires once at `nanoseconds` of CLOCK_BOOTTIME, at once if that has passed; a negative time disarms.
int ctun_timerfd_set(int fd, int64_t nanoseconds);

/// Blocks the signals in the calling thread and returns a non-blocking descriptor that yields them.
int ctun_signalfd_open(const int32_t *__counted_by(n) signals __noescape, size_t n);
/// The number of a signal, 0 if none waits.
int ctun_signalfd_read(int fd);

/// A descriptor that is readable when the process, a child of ours, has ended. -ENOSYS from a kernel before 5.3.
int ctun_process_open(int process);
/// Kills the process that ctun_process_open was asked for.
int ctun_process_kill(int process);

/// Names the calling thread, as `top -H` shows it: at most 15 bytes, without terminator.
int ctun_name_thread(const uint8_t *__counted_by(n) name __noescape, size_t n);

struct ctun_time {
    int64_t seconds;
    int32_t nanoseconds;
};

/// CLOCK_BOOTTIME in nanoseconds: goes on while the machine sleeps.
int64_t ctun_boot_time(void);
/// CLOCK_MONOTONIC in nanoseconds: stands while the machine sleeps.
int64_t ctun_monotonic_time(void);
/// CLOCK_REALTIME.
struct ctun_time ctun_wall_clock(void);

// --- process.c -------------------------------------------------------------------------------------------------------

/// Forks: 0 in the child, in which all signals are blocked, and its number in the parent. Only while there is one thread.
int ctun_fork(void);
/// Closes all descriptors but 0 to 2 and these, which are sorted.
int ctun_close_others(const int32_t *__counted_by(n) kept __noescape, size_t n);
/// Has the process be called `title` where its arguments stood, and by its first 15 bytes for short.
int ctun_name_process(uint8_t *__counted_by(n) space __noescape, size_t n, const uint8_t *__counted_by(m) title __noescape,
                      size_t m);

/// Executes the program that is open as `program` in a process of its own, which belongs to no terminal, is no child of ours, and keeps
/// `channel` and 0 to 2; the number of the process. May be called while there are threads.
int ctun_spawn_apart(int program, char *const *words, char *const *environment, int channel);
/// A descriptor of so many bytes of memory that can be mapped here and by whom it is given to. `secret`: not even the kernel's other
/// parts see it, and it is never swapped out (memfd_secret(2)); -ENOSYS where there is none.
int ctun_secret_memory(uint64_t size, int secret);

/// Two ends of a stream over which descriptors may go too.
int ctun_channel_pair(int32_t *__counted_by(n) ends __noescape, size_t n);
/// Sends all of it, and a copy of `descriptor` if that is not negative. -EPIPE if nobody is at the other end.
int ctun_channel_send(int fd, const uint8_t *__counted_by(n) bytes __noescape, size_t n, int descriptor);
/// Fills all of `bytes`; a descriptor that came is put into `*descriptor` if that is negative, and is the caller's. Waits so
/// long for each part, or without end (-1): -ETIMEDOUT. -ECONNRESET if nobody is at the other end.
int ctun_channel_receive(int fd, uint8_t *__counted_by(n) bytes __noescape, size_t n, int milliseconds,
                         int32_t *__counted_by(m) descriptor __noescape, size_t m);

// --- socket.c --------------------------------------------------------------------------------------------------------

/// Who connected to a Unix socket.
struct ctun_credentials {
    int32_t process;
    uint32_t user;
    uint32_t group;
};

/// Moves the calling thread into the network namespace that a path names.
int ctun_enter_network(const char *path);

int ctun_peer_credentials(int fd, struct ctun_credentials *__counted_by(n) out __noescape, size_t n);

/// A socket that sends ICMP messages and receives none. -EPERM without CAP_NET_RAW.
int ctun_icmp_open(void);
/// Sends an ICMP message (RFC 792), of which the checksum is right, from an address of ours. Both addresses in host order.
/// -EINVAL or -ENETUNREACH if `source` is not ours.
int ctun_icmp_send(int fd, uint32_t source, uint32_t destination, const uint8_t *__counted_by(n) message __noescape,
                   size_t n);

/// The number of the interface `name` (`n` bytes, without terminator), or -errno.
int ctun_interface_index(const uint8_t *__counted_by(n) name __noescape, size_t n);
/// The interface's name, zero-terminated; `n` is at least 16.
int ctun_interface_name(uint32_t index, uint8_t *__counted_by(n) name __noescape, size_t n);

/// What a driver does with large frames, as bits: memory in pieces, checksums, segmentation, segmentation by the kernel on its way to the
/// driver, and the merging of what comes.
enum { CTUN_PIECES = 1, CTUN_CHECKSUMS = 2, CTUN_TSO = 4, CTUN_GSO = 8, CTUN_GRO = 16 };
/// Those of the interface `name` (`n` bytes, without terminator) that are on, or -errno.
int ctun_interface_offloads(const uint8_t *__counted_by(n) name __noescape, size_t n);

/// A non-blocking socket of NETLINK_ROUTE that listens to `groups` (bit n-1 for group n; 0 for requests only).
int ctun_netlink_open(uint32_t groups);
/// Sends a request to the kernel.
int ctun_netlink_send(int fd, const uint8_t *__counted_by(n) request __noescape, size_t n);
/// One datagram from the kernel, waiting up to `milliseconds`; those of other processes are passed over.
/// -EAGAIN if none came, -EMSGSIZE if it was longer than `n`.
int ctun_netlink_receive(int fd, uint8_t *__counted_by(n) reply __noescape, size_t n, int milliseconds);

/// A non-blocking descriptor that is readable after the file at `path` (`n` bytes, without terminator) was unlinked,
/// moved or changed in its attributes.
int ctun_file_watch_open(const uint8_t *__counted_by(n) path __noescape, size_t n);
/// Takes what has come.
void ctun_file_watch_take(int fd);

/// A socket to who listens for datagrams at `path` (`n` bytes, without terminator); one that begins with '@' stands for a name
/// without a file.
int ctun_notify_open(const uint8_t *__counted_by(n) path __noescape, size_t n);
/// Sends one datagram there; if `wait`, waits up to a second for room.
int ctun_notify_send(int fd, const uint8_t *__counted_by(n) text __noescape, size_t n, int wait);

#endif
