/* Sends one request again and again over several connections, each of which waits for its answer, and measures.
 *
 * raw_load PORT CONNECTIONS REQUESTS ANSWER_BYTES
 *
 * The input is two blobs, each after its length in four bytes, big-endian: what each connection sends first, which has
 * no answer, and the request, whose answer has ANSWER_BYTES. When each connection has had an answer, prints a line, and
 * waits for another byte. Then it begins to count. In the end it prints requests a second, and the median and the 99th
 * percentile in microseconds.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static char *blob(uint32_t *size) {
    uint32_t length;
    if (fread(&length, 4, 1, stdin) != 1) fail("input");
    *size = ntohl(length);
    char *bytes = malloc(*size + 1);
    if (*size && fread(bytes, *size, 1, stdin) != 1) fail("input");
    return bytes;
}

static int by_size(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int port = atoi(argv[1]), connections = atoi(argv[2]), requests = atoi(argv[3]), answer = atoi(argv[4]);
    uint32_t first_size, size;
    char *first = blob(&first_size), *request = blob(&size), buffer[65536];
    int *sockets = calloc(connections, sizeof(int)), *left = calloc(connections, sizeof(int));
    int64_t *sent = calloc(connections, sizeof(int64_t)), *taken = calloc(requests, sizeof(int64_t));
    int poller = epoll_create1(0);
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(port)};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < connections; i++) {
        int one = 1, s = sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(s, (struct sockaddr *)&where, sizeof where)) fail("connect");
        setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (send(s, first, first_size, 0) != (ssize_t)first_size) fail("send");
        if (send(s, request, size, 0) != (ssize_t)size) fail("send");
        for (ssize_t got, wanted = answer; wanted > 0; wanted -= got)
            if ((got = recv(s, buffer, sizeof buffer, 0)) <= 0) fail("recv");
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
        epoll_ctl(poller, EPOLL_CTL_ADD, s, &event);
    }
    puts("ready");
    fflush(stdout);
    if (getchar() == EOF) fail("input");
    int begun = 0, done = 0;
    int64_t start = now();
    for (int i = 0; i < connections && begun < requests; i++, begun++) {
        left[i] = answer;
        sent[i] = now();
        if (send(sockets[i], request, size, 0) != (ssize_t)size) fail("send");
    }
    struct epoll_event events[64];
    while (done < requests) {
        int ready = epoll_wait(poller, events, 64, 10000);
        if (ready <= 0) fail("no answer");
        for (int e = 0; e < ready; e++) {
            int i = events[e].data.u32;
            ssize_t got = recv(sockets[i], buffer, sizeof buffer, 0);
            if (got <= 0) fail("recv");
            left[i] -= (int)got;
            if (left[i] > 0) continue;
            if (left[i] < 0) fail("an answer is longer than expected");
            int64_t at = now();
            taken[done++] = at - sent[i];
            if (begun < requests) {
                begun++;
                left[i] = answer;
                sent[i] = at;
                if (send(sockets[i], request, size, 0) != (ssize_t)size) fail("send");
            }
        }
    }
    double seconds = (now() - start) / 1e9;
    qsort(taken, requests, sizeof *taken, by_size);
    printf("%.0f %.2f %.2f\n", requests / seconds, taken[requests / 2] / 1e3, taken[requests * 99L / 100] / 1e3);
    return 0;
}
