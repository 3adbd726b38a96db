// Stands between a gateway that is upgraded and the one that takes over, and lies: what the second gets of the state is not what
// the first wrote. It is what the first executes (`gatewayctl upgrade --binary`), and executes the real one itself.
//
//     LIAR          flip, cut, version, garbage, die, hang, late
//     LIAR_PROGRAM  the real one
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DESCRIPTOR = 20, HANDED_OVER = 21, GO = 22, MEMORY = 10 };

static const char *lie;

static void fail(const char *what) {
    perror(what);
    _exit(70);
}

static void change(int memory) {
    struct stat status;
    if (fstat(memory, &status) < 0) fail("fstat");
    uint8_t *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (bytes == MAP_FAILED) fail("mmap");
    uint64_t length;
    memcpy(&length, bytes + 16, sizeof length);
    if (!strcmp(lie, "flip")) bytes[56 + length / 2] ^= 4;
    if (!strcmp(lie, "version")) bytes[8] = 99;
    if (!strcmp(lie, "garbage")) memset(bytes, 0xa5, (size_t)status.st_size);
    // What is said to be there is not.
    if (!strcmp(lie, "cut")) {
        length = (uint64_t)status.st_size;
        memcpy(bytes + 16, &length, sizeof length);
    }
    munmap(bytes, (size_t)status.st_size);
}

// Passes on one message, whole; 0 at the end.
static int pass(int from, int to, int looks) {
    uint8_t message[4 + 65536];
    size_t done = 0, size = 4;
    int descriptor = -1;
    while (done < size) {
        struct iovec piece = {message + done, size - done};
        union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(int))]; } control;
        struct msghdr part = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
        ssize_t count = recvmsg(from, &part, MSG_CMSG_CLOEXEC);
        if (count <= 0) return 0;
        struct cmsghdr *header = CMSG_FIRSTHDR(&part);
        if (header && header->cmsg_type == SCM_RIGHTS) memcpy(&descriptor, CMSG_DATA(header), sizeof(int));
        done += (size_t)count;
        if (done == 4) {
            uint32_t length;
            memcpy(&length, message, 4);
            size = 4 + length;
            if (size > sizeof message) return 0;
        }
    }
    if (looks && message[4] == DESCRIPTOR && message[5] == MEMORY) change(descriptor);
    if (looks && message[4] == HANDED_OVER && !strcmp(lie, "die")) return 0;
    if (looks && message[4] == GO && !strcmp(lie, "late")) return 0;
    if (looks && message[4] == HANDED_OVER && !strcmp(lie, "hang")) for (;;) pause();
    struct iovec piece = {message, size};
    union { struct cmsghdr header; char space[CMSG_SPACE(sizeof(int))]; } control;
    struct msghdr whole = {.msg_iov = &piece, .msg_iovlen = 1};
    if (descriptor >= 0) {
        whole.msg_control = &control;
        whole.msg_controllen = sizeof control;
        struct cmsghdr *header = CMSG_FIRSTHDR(&whole);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
    }
    if (sendmsg(to, &whole, MSG_NOSIGNAL) != (ssize_t)size) return 0;
    if (descriptor >= 0) close(descriptor);
    return 1;
}

int main(int count, char **words) {
    (void)count;
    lie = getenv("LIAR");
    const char *program = getenv("LIAR_PROGRAM"), *number = getenv("GATEWAY_SUCCESSION_FD");
    if (!lie || !program || !number) return 64;
    int gateway = atoi(number), pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) fail("socketpair");
    pid_t child = fork();
    if (child < 0) fail("fork");
    if (child == 0) {
        char text[16];
        snprintf(text, sizeof text, "%d", pair[1]);
        setenv("GATEWAY_SUCCESSION_FD", text, 1);
        close(pair[0]);
        close(gateway);
        words[0] = (char *)program;
        execv(program, words);
        fail(program);
    }
    close(pair[1]);
    for (;;) {
        struct pollfd waiting[] = {{gateway, POLLIN, 0}, {pair[0], POLLIN, 0}};
        if (poll(waiting, 2, -1) < 0) fail("poll");
        if (waiting[0].revents && !pass(gateway, pair[0], 1)) break;
        if (waiting[1].revents && !pass(pair[0], gateway, 0)) break;
    }
    // Its end is the other's as well.
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return 1;
}
