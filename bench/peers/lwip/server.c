/*
 * lwIP on a TAP interface: echo 7, discard 9, chargen 19, until SIGTERM.
 *
 *   server INTERFACE ADDRESS NETMASK
 *
 * lwIP's raw API, called from one loop that reads the descriptor: no thread is woken for a segment.
 * Debian's library has a thread of its own for the timers, so the loop takes its lock once a batch.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/tcp.h"
#include "lwip/tcpip.h"
#include "netif/ethernet.h"

enum { BATCH = 256, FRAME = 1514, PARTS = 64, LINES = 95 * 74, CHUNK = 64 * 1024 };

static int fd;
static struct netif netif;
static char lines[LINES + CHUNK];

struct conn {
    struct pbuf *held; /* echo: taken from the peer, not yet given back */
    u32_t sent;        /* chargen: octets so far */
};

/* ---------------------------------------------------------------- interface */

static err_t transmit(struct netif *n, struct pbuf *p)
{
    struct iovec parts[PARTS];
    int count = 0;
    (void)n;
    for (struct pbuf *q = p; q != NULL && count < PARTS; q = q->next)
        parts[count++] = (struct iovec){ q->payload, q->len };
    return writev(fd, parts, count) < 0 ? ERR_IF : ERR_OK;
}

static err_t start_interface(struct netif *n)
{
    static const u8_t mac[ETHARP_HWADDR_LEN] = { 0x02, 0, 0, 0, 0x1e, 0x19 };
    n->name[0] = 't';
    n->name[1] = 'p';
    n->output = etharp_output;
    n->linkoutput = transmit;
    n->mtu = 1500;
    n->hwaddr_len = ETHARP_HWADDR_LEN;
    memcpy(n->hwaddr, mac, sizeof mac);
    n->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP;
    return ERR_OK;
}

/* One frame, if there is one. */
static int receive(void)
{
    char frame[FRAME];
    ssize_t n = read(fd, frame, sizeof frame);
    if (n <= 0)
        return 0;
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)n, PBUF_RAM);
    if (p == NULL)
        return 1;
    pbuf_take(p, frame, (u16_t)n);
    if (netif.input(p, &netif) != ERR_OK)
        pbuf_free(p);
    return 1;
}

/* ---------------------------------------------------------------- services */

static err_t end(struct tcp_pcb *pcb, struct conn *c)
{
    if (c != NULL && c->held != NULL)
        pbuf_free(c->held);
    free(c);
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    if (tcp_close(pcb) == ERR_OK)
        return ERR_OK;
    tcp_abort(pcb);
    return ERR_ABRT;
}

static void broken(void *arg, err_t err)
{
    struct conn *c = arg;
    (void)err;
    if (c != NULL && c->held != NULL)
        pbuf_free(c->held);
    free(c);
}

static err_t echo_pump(struct tcp_pcb *pcb, struct conn *c)
{
    while (c->held != NULL) {
        struct pbuf *p = c->held;
        if (tcp_sndbuf(pcb) < p->len || tcp_write(pcb, p->payload, p->len, TCP_WRITE_FLAG_COPY) != ERR_OK)
            break;
        u16_t taken = p->len;
        c->held = p->next;
        if (c->held != NULL)
            pbuf_ref(c->held);
        pbuf_free(p);
        tcp_recved(pcb, taken);
    }
    tcp_output(pcb);
    return ERR_OK;
}

static err_t echo_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct conn *c = arg;
    (void)err;
    if (p == NULL)
        return end(pcb, c);
    if (c->held == NULL)
        c->held = p;
    else
        pbuf_cat(c->held, p);
    return echo_pump(pcb, c);
}

static err_t echo_sent(void *arg, struct tcp_pcb *pcb, u16_t n)
{
    (void)n;
    return echo_pump(pcb, arg);
}

static err_t discard_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    (void)err;
    if (p == NULL)
        return end(pcb, arg);
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    return ERR_OK;
}

static err_t chargen_fill(void *arg, struct tcp_pcb *pcb, u16_t acked)
{
    struct conn *c = arg;
    (void)acked;
    u16_t room;
    while ((room = LWIP_MIN(tcp_sndbuf(pcb), CHUNK / 2)) > 0) {
        /* The pattern stays where it is: it need not be copied. */
        if (tcp_write(pcb, lines + c->sent % LINES, room, 0) != ERR_OK)
            break;
        c->sent = (c->sent + room) % LINES;
    }
    tcp_output(pcb);
    return ERR_OK;
}

static err_t accepted(void *arg, struct tcp_pcb *pcb, err_t err)
{
    int port = (int)(size_t)arg;
    if (err != ERR_OK || pcb == NULL)
        return ERR_VAL;
    struct conn *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR_MEM;
    tcp_arg(pcb, c);
    tcp_err(pcb, broken);
    tcp_nagle_disable(pcb);
    tcp_recv(pcb, port == 7 ? echo_recv : discard_recv);
    if (port == 7)
        tcp_sent(pcb, echo_sent);
    if (port == 19) {
        tcp_sent(pcb, chargen_fill);
        return chargen_fill(c, pcb, 0);
    }
    return ERR_OK;
}

static void serve(u16_t port)
{
    struct tcp_pcb *pcb = tcp_new();
    if (pcb == NULL || tcp_bind(pcb, IP_ADDR_ANY, port) != ERR_OK || (pcb = tcp_listen(pcb)) == NULL) {
        fprintf(stderr, "lwip: cannot listen on port %d\n", port);
        exit(1);
    }
    tcp_arg(pcb, (void *)(size_t)port);
    tcp_accept(pcb, accepted);
}

/* ---------------------------------------------------------------- main */

static void open_tap(const char *name)
{
    struct ifreq request = { 0 };
    fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
        fprintf(stderr, "lwip: %s: %s\n", name, strerror(errno));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    ip4_addr_t address, mask, none;
    if (argc != 4 || !ip4addr_aton(argv[2], &address) || !ip4addr_aton(argv[3], &mask)) {
        fprintf(stderr, "usage: server INTERFACE ADDRESS NETMASK\n");
        return 2;
    }
    for (int i = 0; i < (int)sizeof lines; i++) {
        int line = i / 74 % 95, column = i % 74;
        lines[i] = column == 72 ? '\r' : column == 73 ? '\n' : ' ' + (line + column) % 95;
    }
    open_tap(argv[1]);
    tcpip_init(NULL, NULL);
    ip4_addr_set_zero(&none);
    LOCK_TCPIP_CORE();
    netif_add(&netif, &address, &mask, &none, NULL, start_interface, ethernet_input);
    netif_set_default(&netif);
    netif_set_up(&netif);
    serve(7);
    serve(9);
    serve(19);
    UNLOCK_TCPIP_CORE();
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        if (poll(&wait, 1, -1) < 0 && errno != EINTR)
            return 1;
        LOCK_TCPIP_CORE();
        for (int i = 0; i < BATCH && receive(); i++)
            ;
        /* Segments to ourselves. */
        netif_poll(&netif);
        UNLOCK_TCPIP_CORE();
    }
}
