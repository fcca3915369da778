/*
 * latency - what an answer costs after silence, and many connections that say nothing. Linux, C99, no dependencies.
 *
 *   latency first ADDRESS COUNT MILLIS   one octet to the echo service and back, after MILLIS of silence, COUNT times
 *   latency hold ADDRESS COUNT           opens COUNT connections, prints "held", and keeps them until SIGTERM
 *
 * `first` prints one number a line: microseconds from write to read.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int dial(const char *address)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(7)};
    inet_pton(AF_INET, address, &peer.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&peer, sizeof peer) < 0) {
        perror("latency: connect");
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static double micros(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    int count = atoi(argv[3]);
    if (!strcmp(argv[1], "hold")) {
        struct rlimit files = {65536, 65536};
        setrlimit(RLIMIT_NOFILE, &files);
        for (int n = 0; n < count; n++)
            dial(argv[2]);
        puts("held");
        fflush(stdout);
        for (;;)
            pause();
    }
    int fd = dial(argv[2]);
    long millis = argc > 4 ? atol(argv[4]) : 20;
    struct timespec silence = {millis / 1000, millis % 1000 * 1000000};
    char octet = 'x';
    for (int n = -3; n < count; n++) {
        nanosleep(&silence, NULL);
        double start = micros();
        if (write(fd, &octet, 1) != 1 || read(fd, &octet, 1) != 1)
            return 1;
        if (n >= 0)
            printf("%.1f\n", micros() - start);
    }
    return 0;
}
