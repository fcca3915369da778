/*
 * load - one thread, one epoll: the client that every stack under the bench is driven by, and the
 * server that stands for the kernel's own stack. Linux, C99, no dependencies.
 *
 *   load serve ADDRESS                                    echo 7, discard 9, chargen 19, until SIGTERM
 *   load sink | source | bulkecho ADDRESS WARMUP SECONDS  one connection: send, receive, both
 *   load echo ADDRESS WARMUP SECONDS CONNECTIONS BYTES    request and answer, by turns, on each
 *   load connect ADDRESS WARMUP SECONDS CONNECTIONS       connect, echo one byte, close, again and again
 *   load idle ADDRESS SETTLE PID CONNECTIONS              what open connections cost the process PID, octets of
 *                                                         memory each: fresh, and after one echo
 *
 * LOAD_CONGESTION names the congestion control of a client's connections; otherwise it is the kernel's default.
 *
 * A client prints one JSON line. Rates count what the server's stack has taken: of `sink`, what
 * is acknowledged. Everything echoed is compared with what was sent. Exit status 1 after an error.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 256 * 1024, PERIOD = 65521, LINES = 95 * 74, MOST = 16384, EVENTS = 256 };
enum service { CLIENT, LISTEN_ECHO, LISTEN_DISCARD, LISTEN_CHARGEN, ECHO, DISCARD, CHARGEN };

struct conn {
    int fd;
    enum service service;
    int connected;
    uint32_t watched;
    uint64_t sent, received; /* of the stream; of the request in `echo` and `connect` */
    uint32_t base;           /* where its bytes begin in the pattern */
    char *held;              /* server: echoed bytes that the socket did not take */
    size_t held_from, held_to;
};

static unsigned char pattern[PERIOD + CHUNK], lines[LINES + CHUNK], buffer[CHUNK];
static struct sockaddr_in peer;
static int ep;
static uint64_t errors, mismatches;
static int last_error;

static uint64_t nanos(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(struct conn *c, uint32_t events)
{
    struct epoll_event e = { .events = events, .data.ptr = c };
    if (c->watched != events && epoll_ctl(ep, c->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &e) == 0)
        c->watched = events;
}

static void drop(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->watched = 0;
}

static void broken(struct conn *c, int why)
{
    errors++;
    last_error = why;
    drop(c);
}

static void make_patterns(void)
{
    uint64_t x = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < (int)sizeof pattern; i++) {
        if (i < PERIOD) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            pattern[i] = x >> 40;
        } else {
            pattern[i] = pattern[i - PERIOD];
        }
    }
    /* RFC 864: 72 of the 95 printing characters, each line one further, CR LF. */
    for (int i = 0; i < (int)sizeof lines; i++) {
        int line = i / 74 % 95, column = i % 74;
        lines[i] = column == 72 ? '\r' : column == 73 ? '\n' : ' ' + (line + column) % 95;
    }
}

/* ---------------------------------------------------------------- server */

static struct conn *listener(int port, enum service service)
{
    struct conn *c = calloc(1, sizeof *c);
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    c->service = service;
    peer.sin_port = htons(port);
    setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (c->fd < 0 || bind(c->fd, (struct sockaddr *)&peer, sizeof peer) || listen(c->fd, 4096))
        fail("listen");
    watch(c, EPOLLIN);
    return c;
}

static void forget(struct conn *c)
{
    drop(c);
    free(c->held);
    free(c);
}

static void accept_all(struct conn *l)
{
    for (;;) {
        int one = 1, fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0)
            return;
        struct conn *c = calloc(1, sizeof *c);
        c->fd = fd;
        c->service = l->service - LISTEN_ECHO + ECHO;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        watch(c, c->service == CHARGEN ? EPOLLIN | EPOLLOUT : EPOLLIN);
    }
}

/* Returns 0 when the socket is full, -1 when the client has gone: it would be ready, with an error, for ever. */
static int send_held(struct conn *c)
{
    while (c->held_from < c->held_to) {
        ssize_t n = send(c->fd, c->held + c->held_from, c->held_to - c->held_from, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        c->held_from += n;
    }
    return 1;
}

static void serve_one(struct conn *c, uint32_t events)
{
    if (c->service == CHARGEN && events & EPOLLOUT) {
        for (int i = 0; i < 4; i++) {
            ssize_t n = send(c->fd, lines + c->sent % LINES, CHUNK, MSG_NOSIGNAL);
            if (n > 0)
                c->sent += n;
            if (n != CHUNK)
                break;
        }
    }
    if (c->service == ECHO) {
        int sent = send_held(c);
        if (sent < 0)
            return forget(c);
        if (!sent)
            return watch(c, EPOLLOUT);
    }
    for (int i = 0; i < 4; i++) {
        ssize_t n = recv(c->fd, buffer, CHUNK, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return forget(c);
        if (n < 0)
            break;
        if (c->service != ECHO)
            continue;
        ssize_t m = send(c->fd, buffer, n, MSG_NOSIGNAL);
        if (m < 0 && errno != EAGAIN)
            return forget(c);
        if (m < 0)
            m = 0;
        if (m < n) {
            if (!c->held)
                c->held = malloc(CHUNK);
            memcpy(c->held, buffer + m, n - m);
            c->held_from = 0;
            c->held_to = n - m;
            return watch(c, EPOLLOUT);
        }
    }
    if (c->service == ECHO)
        watch(c, EPOLLIN);
}

static _Noreturn void serve(void)
{
    struct epoll_event events[EVENTS];
    listener(7, LISTEN_ECHO);
    listener(9, LISTEN_DISCARD);
    listener(19, LISTEN_CHARGEN);
    puts("ready");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(ep, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (c->service <= LISTEN_CHARGEN)
                accept_all(c);
            else
                serve_one(c, events[i].events);
        }
    }
}

/* ---------------------------------------------------------------- client */

static struct conn conns[MOST];
static int count, request_bytes;
static uint64_t from, until;   /* the measured time */
static uint64_t done;          /* requests or connections in it */
static struct rusage cpu_from;

static void start(struct conn *c)
{
    const char *congestion = getenv("LOAD_CONGESTION");
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        fail("socket");
    c->connected = 0;
    c->watched = 0;
    c->sent = c->received = 0;
    c->base = (uint32_t)(c - conns) * 104729u % PERIOD;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (congestion && setsockopt(c->fd, IPPROTO_TCP, TCP_CONGESTION, congestion, strlen(congestion)))
        fail("TCP_CONGESTION");
    if (connect(c->fd, (struct sockaddr *)&peer, sizeof peer) && errno != EINPROGRESS)
        broken(c, errno);
    else
        watch(c, EPOLLOUT);
}

static int is_open(struct conn *c)
{
    int error = 0;
    socklen_t length = sizeof error;
    if (c->connected)
        return 1;
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error) {
        broken(c, error);
        return 0;
    }
    return c->connected = 1;
}

static void send_bulk(struct conn *c)
{
    for (int i = 0; i < 4; i++) {
        ssize_t n = send(c->fd, pattern + c->sent % PERIOD, CHUNK, MSG_NOSIGNAL);
        if (n > 0)
            c->sent += n;
        else if (errno != EAGAIN)
            broken(c, errno);
        if (n != CHUNK)
            return;
    }
}

static void receive_bulk(struct conn *c, const unsigned char *expected, unsigned period)
{
    for (int i = 0; i < 4; i++) {
        ssize_t n = recv(c->fd, buffer, CHUNK, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return broken(c, n ? errno : 0);
        if (n < 0)
            return;
        if (memcmp(buffer, expected + c->received % period, n)) {
            mismatches++;
            return broken(c, EBADMSG);
        }
        c->received += n;
    }
}

static uint64_t moved(const struct conn *c, int receives)
{
    int waiting = 0;
    if (receives)
        return c->received;
    if (c->fd >= 0)
        ioctl(c->fd, SIOCOUTQ, &waiting);
    return c->sent - waiting;
}

static void send_request(struct conn *c)
{
    ssize_t n = send(c->fd, pattern + c->base + c->sent, request_bytes - c->sent, MSG_NOSIGNAL);
    if (n > 0)
        c->sent += n;
    else if (n < 0 && errno != EAGAIN)
        return broken(c, errno);
    watch(c, (int)c->sent < request_bytes ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void next_request(struct conn *c)
{
    c->base = (c->base + 7919) % PERIOD;
    c->sent = c->received = 0;
    send_request(c);
}

/* 1: the whole answer is here. */
static int receive_answer(struct conn *c)
{
    ssize_t n = recv(c->fd, buffer, CHUNK, 0);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0) {
        broken(c, n ? errno : 0);
        return 0;
    }
    if (c->received + n > (uint64_t)request_bytes || memcmp(buffer, pattern + c->base + c->received, n)) {
        mismatches++;
        broken(c, EBADMSG);
        return 0;
    }
    c->received += n;
    return c->received == (uint64_t)request_bytes;
}

static double seconds_of(struct timeval t)
{
    return t.tv_sec + t.tv_usec / 1e6;
}

static int finish(double amount, double seconds)
{
    struct rusage r;
    const char *error = mismatches ? "other octets than were sent" : !errors ? amount > 0 ? "" : "nothing moved"
                        : last_error ? strerror(last_error) : "closed by the peer";
    getrusage(RUSAGE_SELF, &r);
    printf("{\"rate\":%.4f,\"user\":%.1f,\"system\":%.1f,\"error\":\"%s\"}\n", amount / seconds,
           100 * (seconds_of(r.ru_utime) - seconds_of(cpu_from.ru_utime)) / seconds,
           100 * (seconds_of(r.ru_stime) - seconds_of(cpu_from.ru_stime)) / seconds, error);
    return *error != 0;
}

static int bulk(int sends, int receives)
{
    struct epoll_event events[EVENTS];
    struct conn *c = conns;
    uint64_t before = 0, now;
    int measuring = 0;
    start(c);
    while ((now = nanos()) < until && c->fd >= 0) {
        if (!measuring && now >= from) {
            measuring = 1;
            from = now;
            before = moved(c, receives);
            getrusage(RUSAGE_SELF, &cpu_from);
        }
        int n = epoll_wait(ep, events, EVENTS, 20);
        if (n <= 0 || !is_open(c))
            continue;
        watch(c, (sends ? EPOLLOUT : 0) | (receives ? EPOLLIN : 0));
        if (receives && events[0].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            receive_bulk(c, sends ? pattern : lines, sends ? PERIOD : LINES);
        if (sends && c->fd >= 0 && events[0].events & EPOLLOUT)
            send_bulk(c);
    }
    now = nanos();
    uint64_t after = moved(c, receives);
    return finish((after - before) * 8 / 1e9, (now - from) / 1e9);
}

static int turns(int reconnects)
{
    struct epoll_event events[EVENTS];
    uint64_t now;
    int measuring = 0;
    for (int i = 0; i < count; i++)
        start(&conns[i]);
    while ((now = nanos()) < until && !errors) {
        if (!measuring && now >= from) {
            measuring = 1;
            from = now;
            getrusage(RUSAGE_SELF, &cpu_from);
        }
        int n = epoll_wait(ep, events, EVENTS, 20);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (c->fd < 0)
                continue;
            if (!c->connected) {
                if (is_open(c))
                    next_request(c);
                continue;
            }
            if (events[i].events & EPOLLOUT)
                send_request(c);
            if (c->fd < 0 || !(events[i].events & ~EPOLLOUT) || !receive_answer(c))
                continue;
            done += measuring;
            if (reconnects) {
                drop(c);
                start(c);
            } else {
                next_request(c);
            }
        }
    }
    now = nanos();
    return finish(done, (now - from) / 1e9);
}

/* Resident memory of a process, octets. */
static double memory_of(int pid)
{
    char path[64];
    long resident = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    FILE *f = fopen(path, "r");
    if (f == NULL || fscanf(f, "%*d %ld", &resident) != 1)
        fail(path);
    fclose(f);
    return (double)resident * sysconf(_SC_PAGESIZE);
}

/* Waits until all `count` connections are open, or have had their answer. */
static int wait_for_all(int answers)
{
    struct epoll_event events[EVENTS];
    int ready = 0, next = 0, pending = 0;
    while (ready < count && !errors && nanos() < until) {
        for (; next < count && pending < EVENTS; next++, pending++) {
            if (answers)
                next_request(&conns[next]);
            else
                start(&conns[next]);
        }
        int n = epoll_wait(ep, events, EVENTS, 20);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            int was = c->connected;
            if (c->fd < 0 || !is_open(c))
                continue;
            if (!was)
                watch(c, EPOLLIN);
            if (answers ? receive_answer(c) : !was)
                ready++, pending--;
        }
    }
    return ready;
}

static void settle(double seconds)
{
    struct timespec t = { (time_t)seconds, (long)((seconds - (time_t)seconds) * 1e9) };
    nanosleep(&t, NULL);
}

/* Ends all connections at once: FINs sent again and again would meet the next server at the same address. */
static void reset_all(void)
{
    struct linger none = { .l_onoff = 1, .l_linger = 0 };
    for (int i = 0; i < count; i++) {
        if (conns[i].fd >= 0)
            setsockopt(conns[i].fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        drop(&conns[i]);
    }
}

static int idle(double seconds, int pid)
{
    until = nanos() + 60000000000u;
    double before = memory_of(pid), open = 0, echoed = 0;
    int all = wait_for_all(0) == count;
    settle(seconds);
    open = memory_of(pid);
    all = all && wait_for_all(1) == count;
    settle(seconds);
    echoed = memory_of(pid);
    const char *error = all ? "" : mismatches ? "other octets than were sent" : errors && last_error ? strerror(last_error)
                        : "not all were served within a minute";
    reset_all();
    printf("{\"open\":%.0f,\"echoed\":%.0f,\"error\":\"%s\"}\n", (open - before) / count, (echoed - before) / count, error);
    return !all;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max < 2 * MOST ? files.rlim_max : 2 * MOST;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    make_patterns();
    ep = epoll_create1(0);
    peer.sin_family = AF_INET;
    if (argc < 3 || inet_pton(AF_INET, argv[2], &peer.sin_addr) != 1) {
        fprintf(stderr, "usage: load serve ADDRESS | sink|source|bulkecho|echo|connect ADDRESS WARMUP SECONDS [CONNECTIONS [BYTES]] | idle ADDRESS SETTLE PID CONNECTIONS\n");
        return 2;
    }
    const char *mode = argv[1];
    if (!strcmp(mode, "serve"))
        serve();
    if (argc < 5)
        return 2;
    from = nanos() + (uint64_t)(atof(argv[3]) * 1e9);
    until = from + (uint64_t)(atof(argv[4]) * 1e9);
    count = argc > 5 ? atoi(argv[5]) : 1;
    request_bytes = argc > 6 ? atoi(argv[6]) : 1;
    if (count < 1 || count > MOST || request_bytes < 1 || request_bytes > CHUNK)
        return 2;
    peer.sin_port = htons(!strcmp(mode, "sink") ? 9 : !strcmp(mode, "source") ? 19 : 7);
    if (!strcmp(mode, "sink"))
        return bulk(1, 0);
    if (!strcmp(mode, "source"))
        return bulk(0, 1);
    if (!strcmp(mode, "bulkecho"))
        return bulk(1, 1);
    if (!strcmp(mode, "echo"))
        return turns(0);
    if (!strcmp(mode, "connect"))
        return turns(1);
    if (!strcmp(mode, "idle")) {
        int pid = atoi(argv[4]);
        request_bytes = 1;
        return idle(atof(argv[3]), pid);
    }
    return 2;
}
