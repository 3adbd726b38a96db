// A link with faults: carries Ethernet frames between TAP devices in two network namespaces.
//
//     cc -O2 -Wall -Wextra -Werror link.c -o link
//     link [--seed N] [--both FAULTS] [--there FAULTS] [--back FAULTS] NETNS:DEVICE NETNS:DEVICE
//
// "There" is from the first device to the second. FAULTS is a list such as rate=20,delay=20,loss=1; the names are in
// `parameters` below. A frame is first sent, at the rate and behind the queue; then the wire delays, loses, doubles,
// reorders and corrupts it. What happens to the n-th frame depends on the seed, the direction and n alone.
//
// The devices have no offloads: the kernel cuts segments and completes checksums before it hands a frame over.
//
// A line on standard input, `--there rate=5` for instance, changes what is asked for from then on; frames that wait leave as they would
// have. Says "ready" when both devices are up. SIGUSR1 asks for a report, one line of JSON, on what was done since the report
// before; SIGTERM for the last one. Tests/System/lab/impaired.py runs it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const int64_t MILLISECOND = 1000000;

enum {
    LARGEST_FRAME = 9 << 10,
    BATCH = 64,
    MOST_FRAMES = 1 << 16,   // that a direction holds: some 600 MB
    DELAY_BUCKETS = 200000,  // of DELAY_BUCKET each: up to 2 s
    DELAY_BUCKET = 10000,    // nanoseconds
};

// ---- What is asked for ------------------------------------------------------------------------------------------------

struct faults {
    double rate;       // Mbit/s of Ethernet frames; 0: not limited
    double queue;      // what waits for the rate is at most so many ms long; the frame that does not fit is dropped
    double bytes;      // and it is at most so many bytes; 0: no matter how many
    double delay;      // ms
    double jitter;     // ms: uniform, up to so much less or more; the order stays
    double slot;       // ms: what comes out at about the same time comes out at once, as from a card that saves interrupts
    double loss;       // percent of all frames, in the long run
    double burst;      // frames: the mean length of the bad state (Gilbert, Elliott); 0: losses are independent
    double bad, good;  // percent lost in either state
    double duplicate;  // percent
    double reorder;    // percent that are held back,
    double hold;       // by up to so many ms
    double corrupt;    // percent
};

static const struct faults NO_FAULTS = {.queue = 50, .bad = 100, .hold = 5};

static const struct { const char *name; size_t offset; double most; } parameters[] = {
#define PARAMETER(name, most) {#name, offsetof(struct faults, name), most}
    PARAMETER(rate, 1e5), PARAMETER(queue, 1e4), PARAMETER(bytes, 1e9), PARAMETER(delay, 1e3), PARAMETER(jitter, 1e3),
    PARAMETER(slot, 10), PARAMETER(loss, 100), PARAMETER(burst, 1e6), PARAMETER(bad, 100), PARAMETER(good, 100), PARAMETER(duplicate, 100),
    PARAMETER(reorder, 100), PARAMETER(hold, 1e3), PARAMETER(corrupt, 100),
};
enum { PARAMETERS = sizeof parameters / sizeof *parameters };

static __attribute__((noreturn, format(printf, 2, 3))) void fail(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("link: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(code);
}

static void parse_faults(char *text, struct faults *faults) {
    for (char *pair; (pair = strsep(&text, ","));) {
        char *value = strchr(pair, '='), *end;
        if (!value) fail(64, "`%s` is not NAME=NUMBER", pair);
        *value++ = 0;
        size_t i = 0;
        while (i < PARAMETERS && strcmp(parameters[i].name, pair)) i++;
        if (i == PARAMETERS) fail(64, "no fault is called `%s`", pair);
        double number = strtod(value, &end);
        if (end == value || *end || !(number >= 0 && number <= parameters[i].most))
            fail(64, "%s: `%s` is not a number from 0 to %g", pair, value, parameters[i].most);
        *(double *)((char *)faults + parameters[i].offset) = number;
    }
}

static void check_faults(const struct faults *faults) {
    if (faults->jitter > faults->delay) fail(64, "a jitter of %g ms is more than the delay", faults->jitter);
    if (faults->slot > 2 * faults->delay) fail(64, "a slot of %g ms is more than twice the delay", faults->slot);
    if (faults->burst == 0) return;
    if (faults->burst < 1) fail(64, "a burst of %g frames is less than one", faults->burst);
    if (faults->loss < faults->good || faults->loss >= faults->bad)
        fail(64, "a loss of %g %% is not between those of the good and the bad state", faults->loss);
}

// ---- Chance -----------------------------------------------------------------------------------------------------------

enum purpose { LOSS, STATE, DUPLICATE, REORDER, HOLD, JITTER, CORRUPT, PLACE, COPY = 16 };

// SplitMix64 of a counter: no draw depends on how many were made before.
static uint64_t draw(uint64_t seed, uint64_t number, unsigned purpose) {
    uint64_t z = seed + 0x9e3779b97f4a7c15 * (number * 32 + purpose + 1);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static double uniform(uint64_t seed, uint64_t number, unsigned purpose) {
    return (double)(draw(seed, number, purpose) >> 11) * 0x1p-53;
}

// ---- One direction ----------------------------------------------------------------------------------------------------

struct frame {
    int64_t due, arrived, sent;  // sent: when its last bit had left
    uint64_t number;
    uint32_t length;
    bool lost, copy, held, follows;  // follows: the frame before it was still being sent
    uint8_t data[LARGEST_FRAME];
};

struct count { uint64_t frames, bytes; };

struct report {
    struct count offered, delivered, lost, dropped, duplicated, reordered, corrupted, failed, backlog;
    int64_t since, backlog_time, delay_sum, delay_most, queue_sum, queue_most;
    uint32_t delays[DELAY_BUCKETS + 1];
};

static struct direction {
    const char *name;
    struct faults faults;
    uint64_t seed, number, newest;  // newest: of the frames delivered
    int in, out;
    bool bad;
    int64_t free_at, latest, last_due;  // when the sender is free; of the last frame delivered, and in order
    struct frame **heap;                // by due and number
    size_t waiting;                     // in the heap
    uint64_t missed;
    struct report report;
} directions[2] = {{.name = "there"}, {.name = "back"}};

static struct frame *pool[2 * MOST_FRAMES + BATCH];
static size_t pooled;

static struct frame *take_frame(void) {
    if (pooled) return pool[--pooled];
    struct frame *frame = malloc(sizeof *frame);
    if (!frame) fail(71, "no memory for %zu frames", directions[0].waiting + directions[1].waiting);
    return frame;
}

static void give_back(struct frame *frame) { pool[pooled++] = frame; }

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

static void count(struct count *count, const struct frame *frame) {
    count->frames++;
    count->bytes += frame->length;
}

static bool is_before(const struct frame *a, const struct frame *b) {
    return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static void push(struct direction *on, struct frame *frame) {
    size_t i = on->waiting++;
    for (; i && is_before(frame, on->heap[(i - 1) / 2]); i = (i - 1) / 2) on->heap[i] = on->heap[(i - 1) / 2];
    on->heap[i] = frame;
}

static struct frame *pop(struct direction *on) {
    struct frame *first = on->heap[0], *last = on->heap[--on->waiting];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < on->waiting; i = child) {
        if (child + 1 < on->waiting && is_before(on->heap[child + 1], on->heap[child])) child++;
        if (is_before(last, on->heap[child])) break;
        on->heap[i] = on->heap[child];
    }
    on->heap[i] = last;
    return first;
}

static bool is_lost(struct direction *on, uint64_t number) {
    const struct faults *faults = &on->faults;
    double chance = faults->loss;
    if (faults->burst > 0) {
        double share = (faults->loss - faults->good) / (faults->bad - faults->good);
        double leave = 1 / faults->burst, enter = leave * share / (1 - share);
        on->bad ^= uniform(on->seed, number, STATE) < (on->bad ? leave : enter);
        chance = on->bad ? faults->bad : faults->good;
    }
    return uniform(on->seed, number, LOSS) * 100 < chance;
}

// Exchanges a bit with an unequal one at the same place of another 16-bit word. The Internet checksum still holds, so
// that the damage reaches the program. Only what follows IP and eight bytes of UDP or TCP is touched.
static bool corrupt(struct direction *on, struct frame *frame) {
    if (frame->length < 14) return false;
    unsigned type = frame->data[12] << 8 | frame->data[13];
    uint32_t start = type == 0x0800 ? 42 : type == 0x86dd ? 62 : LARGEST_FRAME;
    if (frame->length < start + 4) return false;
    uint32_t words = (frame->length - start) / 2;
    for (uint64_t attempt = 0; attempt < 32; attempt++) {
        uint64_t chance = draw(on->seed ^ attempt << 32, frame->number, PLACE + (frame->copy ? COPY : 0));
        uint8_t *one = frame->data + start + 2 * (chance % words) + (chance >> 63);
        uint8_t *two = frame->data + start + 2 * ((chance >> 20) % words) + (chance >> 63);
        uint8_t bit = 1 << (chance >> 60 & 7);
        if (!((*one ^ *two) & bit)) continue;
        *one ^= bit;
        *two ^= bit;
        return true;
    }
    return false;
}

// What the wire does to a frame, or to its copy.
static void impair(struct direction *on, struct frame *frame) {
    const struct faults *faults = &on->faults;
    unsigned copy = frame->copy ? COPY : 0;
    int64_t slot = (int64_t)(faults->slot * MILLISECOND);
    double delay = faults->delay + faults->jitter * (2 * uniform(on->seed, frame->number, JITTER + copy) - 1);
    frame->due = frame->sent + (int64_t)(delay * MILLISECOND);
    frame->held = uniform(on->seed, frame->number, REORDER + copy) * 100 < faults->reorder;
    if (frame->held) {
        frame->due += (int64_t)(faults->hold * uniform(on->seed, frame->number, HOLD + copy) * MILLISECOND);
    } else {
        if (frame->due < on->last_due) frame->due = on->last_due;
        on->last_due = frame->due;
    }
    if (slot) frame->due = (frame->due + slot / 2) / slot * slot;
    if (!frame->lost && uniform(on->seed, frame->number, CORRUPT + copy) * 100 < faults->corrupt && corrupt(on, frame))
        count(&on->report.corrupted, frame);
    push(on, frame);
}

static void offer(struct direction *on, struct frame *frame) {
    const struct faults *faults = &on->faults;
    struct report *report = &on->report;
    frame->number = ++on->number;
    frame->arrived = frame->sent = now();
    frame->copy = frame->follows = false;
    count(&report->offered, frame);
    if (faults->rate > 0) {
        int64_t takes = (int64_t)(frame->length * 8e3 / faults->rate);
        frame->follows = on->free_at > frame->arrived;
        int64_t starts = frame->follows ? on->free_at : frame->arrived, waits = starts + takes - frame->arrived;
        bool fits = (double)waits <= faults->queue * MILLISECOND &&
                    (faults->bytes == 0 || (double)waits * faults->rate / 8e3 <= faults->bytes);
        if (frame->follows && !fits) {
            count(&report->dropped, frame);
            return give_back(frame);
        }
        frame->sent = on->free_at = starts + takes;
    }
    if (on->waiting + 2 > MOST_FRAMES) {
        count(&report->dropped, frame);
        return give_back(frame);
    }
    frame->lost = is_lost(on, frame->number);
    if (frame->lost) count(&report->lost, frame);
    struct frame *copy = NULL;
    if (!frame->lost && uniform(on->seed, frame->number, DUPLICATE) * 100 < faults->duplicate) {
        copy = take_frame();
        memcpy(copy, frame, offsetof(struct frame, data) + frame->length);
        copy->copy = true;
        count(&report->duplicated, copy);
    }
    impair(on, frame);
    if (copy) impair(on, copy);
}

// Reads what has come, and says whether there may be more.
static bool receive(struct direction *on) {
    for (int i = 0; i < BATCH; i++) {
        struct frame *frame = take_frame();
        ssize_t length = read(on->in, frame->data, LARGEST_FRAME);
        if (length <= 0) {
            give_back(frame);
            if (length < 0 && errno != EAGAIN && errno != EINTR) fail(74, "reading frames: %s", strerror(errno));
            return false;
        }
        frame->length = (uint32_t)length;
        offer(on, frame);
    }
    return true;
}

static void deliver(struct direction *on) {
    struct report *report = &on->report;
    while (on->waiting) {
        int64_t time = now();
        if (on->heap[0]->due > time) return;
        struct frame *frame = pop(on);
        // The clock's own view of the rate: frames that were sent one behind the other, and when they really came.
        if (!frame->held && !frame->copy) {
            if (frame->follows) {
                count(&report->backlog, frame);
                report->backlog_time += time - on->latest;
            }
            on->latest = time;
        }
        if (!frame->lost) {
            count(write(on->out, frame->data, frame->length) == frame->length ? &report->delivered : &report->failed, frame);
            if (!frame->copy) {
                if (frame->number < on->newest) count(&report->reordered, frame);
                else on->newest = frame->number;
            }
            int64_t delay = time - frame->sent, queue = frame->sent - frame->arrived;
            report->delay_sum += delay;
            report->queue_sum += queue;
            if (delay > report->delay_most) report->delay_most = delay;
            if (queue > report->queue_most) report->queue_most = queue;
            int64_t bucket = delay / DELAY_BUCKET;
            report->delays[bucket < DELAY_BUCKETS ? bucket : DELAY_BUCKETS]++;
        }
        give_back(frame);
    }
}

// ---- What was done ----------------------------------------------------------------------------------------------------

struct end { char *path, *device; int namespace, tap; } ends[2];

static void enter(const struct end *end) {
    if (setns(end->namespace, CLONE_NEWNET)) fail(71, "%s: %s", end->path, strerror(errno));
}

// Frames that the device had no room for, since we had not read those before.
static uint64_t missed(const struct end *end) {
    uint64_t answer = 0;
    struct ifaddrs *list;
    enter(end);
    if (getifaddrs(&list)) return 0;
    for (struct ifaddrs *one = list; one; one = one->ifa_next)
        if (one->ifa_addr && one->ifa_addr->sa_family == AF_PACKET && !strcmp(one->ifa_name, end->device))
            answer = ((struct rtnl_link_stats *)one->ifa_data)->tx_dropped;
    freeifaddrs(list);
    return answer;
}

static double percentile(const struct report *report, double share) {
    double left = share * (double)report->delivered.frames;
    for (int i = 0; i <= DELAY_BUCKETS; i++)
        if ((left -= report->delays[i]) <= 0) return (i + 0.5) * DELAY_BUCKET / 1e6;
    return 0;
}

static void print_count(const char *name, struct count count) {
    printf("\"%s\": {\"frames\": %" PRIu64 ", \"bytes\": %" PRIu64 "}, ", name, count.frames, count.bytes);
}

static void print_report(struct direction *on, const struct end *end, int64_t time) {
    struct report *report = &on->report;
    uint64_t all_missed = missed(end);
    double frames = report->delivered.frames ? (double)report->delivered.frames : 1;
    printf("\"%s\": {", on->name);
    print_count("offered", report->offered);
    print_count("delivered", report->delivered);
    print_count("lost", report->lost);
    print_count("dropped", report->dropped);
    print_count("duplicated", report->duplicated);
    print_count("reordered", report->reordered);
    print_count("corrupted", report->corrupted);
    print_count("failed", report->failed);
    printf("\"missed\": %" PRIu64 ", \"waiting\": %zu, \"seconds\": %.6f, ", all_missed - on->missed, on->waiting,
           (double)(time - report->since) / 1e9);
    printf("\"backlog\": {\"seconds\": %.6f, \"rate\": %.4f}, ", (double)report->backlog_time / 1e9,
           report->backlog_time ? (double)report->backlog.bytes * 8e3 / (double)report->backlog_time : 0);
    printf("\"delay\": {\"mean\": %.4f, \"p50\": %.3f, \"p95\": %.3f, \"p99\": %.3f, \"most\": %.3f}, ",
           (double)report->delay_sum / frames / 1e6, percentile(report, 0.5), percentile(report, 0.95),
           percentile(report, 0.99), (double)report->delay_most / 1e6);
    printf("\"queue\": {\"mean\": %.4f, \"most\": %.3f}, \"asked\": {", (double)report->queue_sum / frames / 1e6,
           (double)report->queue_most / 1e6);
    for (size_t i = 0; i < PARAMETERS; i++)
        printf("%s\"%s\": %g", i ? ", " : "", parameters[i].name,
               *(const double *)((const char *)&on->faults + parameters[i].offset));
    printf("}}");
    memset(report, 0, sizeof *report);
    report->since = time;
    on->missed = all_missed;
}

static void print_reports(void) {
    int64_t time = now();
    printf("{");
    print_report(&directions[0], &ends[0], time);
    printf(", ");
    print_report(&directions[1], &ends[1], time);
    puts("}");
    fflush(stdout);
}

// ---- Devices and the loop ---------------------------------------------------------------------------------------------

static void open_end(struct end *end, char *text) {
    end->path = text;
    end->device = strrchr(text, ':');
    if (!end->device || end->device == text || !end->device[1] || strlen(end->device + 1) >= IFNAMSIZ)
        fail(64, "`%s` is not NETNS:DEVICE", text);
    *end->device++ = 0;
    end->namespace = open(end->path, O_RDONLY | O_CLOEXEC);
    if (end->namespace < 0) fail(66, "%s: %s", end->path, strerror(errno));
    enter(end);
    end->tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    strcpy(request.ifr_name, end->device);
    if (end->tap < 0 || ioctl(end->tap, TUNSETIFF, &request)) fail(71, "%s: %s", end->device, strerror(errno));
    int configure = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    request.ifr_flags = IFF_UP | IFF_RUNNING;
    if (configure < 0 || ioctl(configure, SIOCSIFFLAGS, &request)) fail(71, "%s: %s", end->device, strerror(errno));
    close(configure);
}

// Sets what an option asks for, in one direction or both.
static bool set_faults(const char *option, char *value) {
    char *both = !strcmp(option, "--both") ? strdup(value) : NULL;
    if (both) parse_faults(both, &directions[0].faults), parse_faults(value, &directions[1].faults);
    else if (!strcmp(option, "--there")) parse_faults(value, &directions[0].faults);
    else if (!strcmp(option, "--back")) parse_faults(value, &directions[1].faults);
    else return false;
    free(both);
    return true;
}

// Takes a line of standard input; false at its end.
static bool change(void) {
    static char line[256];
    if (!fgets(line, sizeof line, stdin)) return false;
    char *value = strchr(line, ' ');
    if (value) *value++ = 0, value[strcspn(value, "\n")] = 0;
    if (!value || !set_faults(line, value)) fail(64, "`%s` is no change", line);
    for (int d = 0; d < 2; d++) check_faults(&directions[d].faults);
    return true;
}

static volatile sig_atomic_t asked, ended;

static void handle(int number) { *(number == SIGUSR1 ? &asked : &ended) = 1; }

int main(int argc, char **argv) {
    uint64_t seed = 1;
    directions[0].faults = directions[1].faults = NO_FAULTS;
    int i = 1;
    for (; i + 1 < argc && !strncmp(argv[i], "--", 2); i += 2) {
        char *value = argv[i + 1], *end = value;
        if (!strcmp(argv[i], "--seed")) seed = strtoull(value, &end, 0);
        else if (!set_faults(argv[i], value)) fail(64, "there is no option `%s`", argv[i]);
        if (!strcmp(argv[i], "--seed") && (end == value || *end)) fail(64, "the seed `%s` is not a number", value);
    }
    if (argc - i != 2) fail(64, "usage: link [--seed N] [--both|--there|--back FAULTS] NETNS:DEVICE NETNS:DEVICE");
    for (int d = 0; d < 2; d++) check_faults(&directions[d].faults);
    for (int d = 0; d < 2; d++) open_end(&ends[d], argv[i + d]);

    sigset_t blocked, unblocked;
    sigemptyset(&blocked);
    for (const int *s = (const int[]){SIGUSR1, SIGTERM, SIGINT, 0}; *s; s++) {
        sigaddset(&blocked, *s);
        sigaction(*s, &(struct sigaction){.sa_handler = handle}, NULL);
    }
    sigprocmask(SIG_BLOCK, &blocked, &unblocked);
    prctl(PR_SET_TIMERSLACK, 1);
    for (int d = 0; d < 2; d++) {
        directions[d].seed = draw(seed, (uint64_t)d, 0);
        directions[d].in = ends[d].tap;
        directions[d].out = ends[!d].tap;
        directions[d].heap = calloc(MOST_FRAMES, sizeof *directions[d].heap);
        if (!directions[d].heap) fail(71, "no memory");
        directions[d].report.since = now();
        directions[d].missed = missed(&ends[d]);
    }
    puts("ready");
    fflush(stdout);

    struct pollfd polled[3] = {{.fd = ends[0].tap, .events = POLLIN}, {.fd = ends[1].tap, .events = POLLIN},
                               {.fd = STDIN_FILENO, .events = POLLIN}};
    setvbuf(stdin, NULL, _IONBF, 0);
    for (bool more = false; !ended;) {
        int64_t due = INT64_MAX, time = now();
        for (int d = 0; d < 2; d++)
            if (directions[d].waiting && directions[d].heap[0]->due < due) due = directions[d].heap[0]->due;
        int64_t wait = more || due <= time ? 0 : due - time;
        struct timespec timeout = {wait / 1000000000, wait % 1000000000};
        if (ppoll(polled, 3, due == INT64_MAX && !more ? NULL : &timeout, &unblocked) < 0 && errno != EINTR)
            fail(71, "ppoll: %s", strerror(errno));
        if (asked) {
            asked = 0;
            print_reports();
        }
        if (polled[2].revents && !change()) polled[2].fd = -1;
        polled[2].revents = 0;
        more = receive(&directions[0]) | receive(&directions[1]);
        deliver(&directions[0]);
        deliver(&directions[1]);
    }
    print_reports();
    return 0;
}
