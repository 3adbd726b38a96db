// Counts what one thread asks of the allocator, of Swift's runtime and of locks, and from where.
//
//     cc -O2 -shared -fPIC counter.c -o counter.so
//     HOT_PATH_COUNTERS=file LD_PRELOAD=counter.so gateway run …
//
// Only the thread that loads it counts: in `gateway` that is the data thread. The counts stand in the file named by
// HOT_PATH_COUNTERS, which test_hot_path.py maps and reads while the daemon runs.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    MALLOC, CALLOC, REALLOC, FREE, MEMALIGN,
    RETAIN, RELEASE, BRIDGE_RETAIN, BRIDGE_RELEASE, ALLOCATE_OBJECT, BEGIN_ACCESS, LOCK,
    KINDS
};

enum { CALLERS = 1 << 12 };

struct counters {
    uint64_t calls[16];
    struct { uint64_t kind, caller, calls; } callers[CALLERS];
};

static struct counters nowhere;
static struct counters *counters = &nowhere;
static __thread int counts __attribute__((tls_model("initial-exec")));

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("HOT_PATH_COUNTERS");
    if (!path) return;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    void *memory = mmap(NULL, sizeof *counters, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory == MAP_FAILED) return;
    counters = memory;
    counts = 1;
}

static inline __attribute__((always_inline)) void count(int kind, void *caller) {
    if (!counts) return;
    counters->calls[kind]++;
    uint64_t key = (uint64_t)caller;
    for (size_t i = (key ^ key >> 12) * 31 + (size_t)kind;; i++) {
        size_t place = i % CALLERS;
        if (counters->callers[place].calls == 0) {
            counters->callers[place].kind = (uint64_t)kind;
            counters->callers[place].caller = key;
        }
        if (counters->callers[place].caller == key && counters->callers[place].kind == (uint64_t)kind) {
            counters->callers[place].calls++;
            return;
        }
        // A full table would never end; 4096 places in the code are more than there are.
        if (place == (((key ^ key >> 12) * 31 + (size_t)kind) + CALLERS - 1) % CALLERS) return;
    }
}

#define HERE __builtin_return_address(0)

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void __libc_free(void *);
void *__libc_memalign(size_t, size_t);

void *malloc(size_t size) { count(MALLOC, HERE); return __libc_malloc(size); }
void *calloc(size_t n, size_t size) { count(CALLOC, HERE); return __libc_calloc(n, size); }
void *realloc(void *old, size_t size) { count(REALLOC, HERE); return __libc_realloc(old, size); }
void free(void *memory) { if (memory) count(FREE, HERE); __libc_free(memory); }
void *memalign(size_t to, size_t size) { count(MEMALIGN, HERE); return __libc_memalign(to, size); }
void *aligned_alloc(size_t to, size_t size) { count(MEMALIGN, HERE); return __libc_memalign(to, size); }
int posix_memalign(void **out, size_t to, size_t size) {
    count(MEMALIGN, HERE);
    *out = __libc_memalign(to, size);
    return *out ? 0 : ENOMEM;
}

// Nothing is done for a null pointer.
#define FORWARD(KIND, RESULT, NAME, PARAMETERS, ...)                                 \
    RESULT NAME PARAMETERS {                                                         \
        static RESULT(*real) PARAMETERS;                                             \
        if (!real) real = (RESULT(*) PARAMETERS)dlsym(RTLD_NEXT, #NAME);             \
        if (a) count(KIND, HERE);                                                    \
        return real(__VA_ARGS__);                                                    \
    }

FORWARD(RETAIN, void *, swift_retain, (void *a), a)
FORWARD(RETAIN, void *, swift_retain_n, (void *a, uint32_t n), a, n)
FORWARD(RETAIN, void *, swift_nonatomic_retain, (void *a), a)
FORWARD(RELEASE, void, swift_release, (void *a), a)
FORWARD(RELEASE, void, swift_release_n, (void *a, uint32_t n), a, n)
FORWARD(RELEASE, void, swift_nonatomic_release, (void *a), a)
FORWARD(BRIDGE_RETAIN, void *, swift_bridgeObjectRetain, (void *a), a)
FORWARD(BRIDGE_RETAIN, void *, swift_bridgeObjectRetain_n, (void *a, int n), a, n)
FORWARD(BRIDGE_RELEASE, void, swift_bridgeObjectRelease, (void *a), a)
FORWARD(BRIDGE_RELEASE, void, swift_bridgeObjectRelease_n, (void *a, int n), a, n)
FORWARD(ALLOCATE_OBJECT, void *, swift_allocObject, (void *a, size_t size, size_t mask), a, size, mask)
FORWARD(BEGIN_ACCESS, void, swift_beginAccess, (void *a, void *buffer, uintptr_t flags, void *pc), a, buffer, flags, pc)

int pthread_mutex_lock(pthread_mutex_t *lock) {
    static int (*real)(pthread_mutex_t *);
    if (!real) real = (int (*)(pthread_mutex_t *))dlsym(RTLD_NEXT, "pthread_mutex_lock");
    count(LOCK, HERE);
    return real(lock);
}
