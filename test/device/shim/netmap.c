/*
 * A netmap without a kernel module, for tests: the nmport_* functions of libnetmap over ports that live in files
 * of one directory, mapped by whoever opens them, with a switch that runs inside the sender's TXSYNC.
 *
 * It keeps netmap's rules, the silent ones too: what a user wrote to a ring counts at the next sync and not
 * before; a bad head resets the ring and the ioctl returns 0; one slot of each ring is never the user's; buffers have
 * 2048 octets and longer frames span slots (NS_MOREFRAG, a count in the upper octet); a VALE switch drops what its
 * receiver has no room for, while a pipe makes the sender wait; close unmaps; names fail with netmap's errno.
 *
 * Ports:
 *   vale0:a             of the learning switch vale0
 *   netmap:cable0a, b   two ends of a wire, with host rings; frames spread over the receiver's rings by a flow hash
 *   netmap:X{1, X}1     a pipe, master and slave
 * with -N, ^, *, /flags and @conf:rings=N,host-rings=N,slots=N behind the name.
 *
 * What it leaves out: cutting of segmented frames between a port with virtio-net headers and one without (they are
 * dropped), zero-copy, external memory, and real interfaces.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define API 14
#define NAME 64
#define BUF 2048
#define PORTS 64
#define OPENS 16
#define RINGS 16
#define STATIONS 1024
#define FRAGS 64
#define MOREFRAG 0x20
#define ACCEPT_VNET 0x8000
#define NIOCTXSYNC 0x6994u
#define NIOCRXSYNC 0x6995u
#define NIOCCTRL 0xc0586997u
#define USER 65536 /* where the user's part of a port's file begins */

struct header { uint16_t version, type; uint32_t reserved; char name[NAME]; uint64_t options, body; };
struct reg {
  uint64_t offset, memsize;
  uint32_t tx_slots, rx_slots;
  uint16_t tx_rings, rx_rings, host_tx, host_rx, mem_id, ringid;
  uint32_t mode, extra;
  uint64_t flags;
};
struct nmif { char name[16]; uint32_t version, flags, tx, rx, bufs, host_tx, host_rx, spare[3]; int64_t ofs[]; };
struct slot { uint32_t idx; uint16_t len, flags; uint64_t ptr; };
struct ring {
  int64_t buf_ofs;
  uint32_t num_slots, buf_size;
  uint16_t ringid, dir;
  uint32_t head, cur, tail, flags;
  uint8_t rest[220];
  struct slot slot[];
};
struct nmport_d {
  struct header hdr;
  struct reg reg;
  void *mem, *ctx;
  int register_done, mmap_done;
  void *extmem;
  int fd;
  struct nmif *nifp;
  uint16_t first_tx, last_tx, first_rx, last_rx, cur_tx, cur_rx;
  void *clist;
};
_Static_assert(sizeof(struct nmport_d) == 216, "nmport_d");
_Static_assert(sizeof(struct ring) == 256, "netmap_ring");

enum kind { VALE, CABLE, PIPE };
struct kring { uint32_t hwcur, hwtail, told; };

/* The kernel's part of a port: what users never see. */
struct port {
  char name[NAME];
  uint32_t kind, tx, rx, host_tx, host_rx, slots, hdr_len, buffers;
  uint64_t size;
  int32_t open[OPENS];
  struct kring ktx[RINGS], krx[RINGS];
  uint64_t lost;
};
struct station { char name[16]; uint8_t mac[6]; uint16_t port; };
struct world {
  uint32_t generation;
  struct { char name[NAME]; uint32_t used, generation; } port[PORTS];
  struct station station[STATIONS];
  uint32_t stations;
};

struct map { uint32_t generation; struct port *port; uint64_t size; };
struct handle {
  struct nmport_d d;
  char base[NAME], conf[NAME];
  int opened, index, slotnr, lock;
  int fifo[RINGS];
  struct world *world;
  struct port *port;
  struct map map[PORTS];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct handle *handles[4096];
static char directory[256];
static int api = API, present = 1;

/* For tests. */
void netfold_shim_directory(const char *path) { snprintf(directory, sizeof directory, "%s", path); }
void netfold_shim_version(int version) { api = version; }
void netfold_shim_module(int loaded) { present = loaded; }

static const char *dir(void) {
  if (!directory[0]) {
    const char *given = getenv("NETFOLD_SHIM_DIR");
    if (given) snprintf(directory, sizeof directory, "%s", given);
    else snprintf(directory, sizeof directory, "/dev/shm/netfold-shim-%d", (int)getuid());
  }
  mkdir(directory, 0700);
  return directory;
}

static void *map_file(const char *path, size_t size, int create) {
  int fd = open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600);
  if (fd < 0) return NULL;
  if (create && ftruncate(fd, (off_t)size) < 0) { close(fd); return NULL; }
  void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  return at == MAP_FAILED ? NULL : at;
}

static void path_of(char *out, size_t n, int index, uint32_t generation, int ring) {
  if (ring < 0) snprintf(out, n, "%s/port%d.%u", dir(), index, generation);
  else snprintf(out, n, "%s/port%d.%u.ring%d", dir(), index, generation, ring);
}

static void lock(struct handle *h) { while (flock(h->lock, LOCK_EX) < 0 && errno == EINTR) ; }
static void unlock(struct handle *h) { flock(h->lock, LOCK_UN); }

static struct nmif *nmif_of(struct port *p) { return (struct nmif *)((char *)p + USER); }
static struct ring *ring_of(struct port *p, int rx, uint32_t i) {
  struct nmif *n = nmif_of(p);
  return (struct ring *)((char *)n + n->ofs[i + (rx ? p->tx + p->host_tx : 0)]);
}
static uint8_t *buf_of(struct ring *r, uint32_t idx) { return (uint8_t *)r + r->buf_ofs + (int64_t)idx * BUF; }
static uint32_t next(struct ring *r, uint32_t i) { return i + 1 == r->num_slots ? 0 : i + 1; }
static uint32_t distance(struct ring *r, uint32_t from, uint32_t to) {
  return to >= from ? to - from : to + r->num_slots - from;
}

/* The other ports, as this handle has them mapped. */
static struct port *port_at(struct handle *h, int index) {
  struct world *w = h->world;
  struct map *m = &h->map[index];
  if (!w->port[index].used) return NULL;
  if (m->port && m->generation == w->port[index].generation) return m->port;
  if (m->port) munmap(m->port, m->size);
  m->port = NULL;
  char path[320];
  struct stat st;
  path_of(path, sizeof path, index, w->port[index].generation, -1);
  if (stat(path, &st) < 0) return NULL;
  m->port = map_file(path, (size_t)st.st_size, 0);
  m->size = (uint64_t)st.st_size;
  m->generation = w->port[index].generation;
  return m->port;
}

static int find(struct world *w, const char *name) {
  for (int i = 0; i < PORTS; i++) if (w->port[i].used && !strcmp(w->port[i].name, name)) return i;
  return -1;
}

static int alive(struct port *p) {
  for (int i = 0; i < OPENS; i++) if (p->open[i] && (kill(p->open[i], 0) == 0 || errno == EPERM)) return 1;
  return 0;
}

static void forget(struct handle *h, int index) {
  struct world *w = h->world;
  struct port *p = port_at(h, index);
  char path[320];
  for (uint32_t r = 0; p && r < p->rx + p->host_rx; r++) {
    path_of(path, sizeof path, index, w->port[index].generation, (int)r);
    unlink(path);
  }
  path_of(path, sizeof path, index, w->port[index].generation, -1);
  unlink(path);
  w->port[index].used = 0;
  for (uint32_t s = 0; s < w->stations; s++) if (w->station[s].port == index) w->station[s--] = w->station[--w->stations];
}

/* ---- frames ---- */

struct frame { uint32_t total, count; uint8_t *at[FRAGS]; uint16_t len[FRAGS]; };

static void tell(struct handle *h, int index, struct port *p, uint32_t ring) {
  if (p->krx[ring].told) return;
  char path[320];
  path_of(path, sizeof path, index, h->world->port[index].generation, (int)ring);
  int fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return;
  if (write(fd, "!", 1) == 1) p->krx[ring].told = 1;
  close(fd);
}

/* Into a receive ring: 0 when it has no room. */
static int put(struct handle *h, int index, struct port *p, uint32_t ring, const struct frame *f) {
  struct ring *r = ring_of(p, 1, ring);
  struct kring *k = &p->krx[ring];
  uint32_t space = r->num_slots - 1 - distance(r, k->hwcur, k->hwtail);
  if (f->count > space) { p->lost++; return 0; }
  for (uint32_t i = 0; i < f->count; i++) {
    struct slot *s = &r->slot[k->hwtail];
    memcpy(buf_of(r, s->idx), f->at[i], f->len[i]);
    s->len = f->len[i];
    s->flags = (uint16_t)((f->count << 8) | (i + 1 < f->count ? MOREFRAG : 0));
    k->hwtail = next(r, k->hwtail);
  }
  tell(h, index, p, ring);
  return 1;
}

static uint16_t sum16(const uint8_t *at, uint32_t n) {
  uint32_t sum = 0;
  for (uint32_t i = 0; i + 1 < n; i += 2) sum += (uint32_t)(at[i] << 8 | at[i + 1]);
  if (n & 1) sum += (uint32_t)(at[n - 1] << 8);
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

/* Ports whose virtio-net headers differ in length: checksums are finished, the header taken off or a blank one put on. */
static int put_other(struct handle *h, int index, struct port *p, uint32_t ring, const struct frame *f, uint32_t from) {
  static uint8_t whole[FRAGS * BUF + 16];
  uint32_t n = 16;
  for (uint32_t i = 0; i < f->count; i++) { memcpy(whole + n, f->at[i], f->len[i]); n += f->len[i]; }
  uint8_t *header = whole + 16, *frame = header + from;
  uint32_t length = f->total - from, to = p->hdr_len;
  if (f->total < from) return 0;
  if (from >= 10) {
    uint16_t start = (uint16_t)(header[6] | header[7] << 8), offset = (uint16_t)(header[8] | header[9] << 8);
    if (header[1] != 0) { p->lost++; return 0; }
    if (header[0] & 1 && (uint32_t)start + offset + 2 <= length) {
      uint16_t sum = sum16(frame + start, length - start);
      frame[start + offset] = (uint8_t)(sum >> 8);
      frame[start + offset + 1] = (uint8_t)sum;
    }
  }
  struct frame out = {.total = length + to};
  uint8_t *at = frame - to;
  memset(at, 0, to);
  for (uint32_t done = 0; done < out.total; done += BUF) {
    out.at[out.count] = at + done;
    out.len[out.count++] = (uint16_t)(out.total - done < BUF ? out.total - done : BUF);
  }
  return put(h, index, p, ring, &out);
}

static int give(struct handle *h, int index, uint32_t ring, const struct frame *f) {
  struct port *to = port_at(h, index);
  if (!to) return 0;
  if (to->kind == VALE) ring %= to->rx;
  if (ring >= to->rx + to->host_rx) return 0;
  return h->port->hdr_len == to->hdr_len ? put(h, index, to, ring, f) : put_other(h, index, to, ring, f, h->port->hdr_len);
}

static void switched(struct handle *h, uint32_t ring, const struct frame *f) {
  struct world *w = h->world;
  char name[16] = {0};
  const char *colon = strchr(h->base, ':');
  memcpy(name, h->base, (size_t)(colon - h->base) < 15 ? (size_t)(colon - h->base) : 15);
  size_t prefix = (size_t)(colon - h->base) + 1;
  if (f->len[0] < h->port->hdr_len + 14u) return;
  const uint8_t *ether = f->at[0] + h->port->hdr_len;
  uint32_t s;
  if (!(ether[6] & 1)) {
    for (s = 0; s < w->stations; s++)
      if (!memcmp(w->station[s].mac, ether + 6, 6) && !strcmp(w->station[s].name, name)) break;
    if (s < STATIONS) {
      if (s == w->stations) w->stations++;
      memcpy(w->station[s].mac, ether + 6, 6);
      memcpy(w->station[s].name, name, sizeof name);
      w->station[s].port = (uint16_t)h->index;
    }
  }
  if (!(ether[0] & 1)) {
    for (s = 0; s < w->stations; s++) {
      if (memcmp(w->station[s].mac, ether, 6) || strcmp(w->station[s].name, name)) continue;
      if (w->station[s].port != h->index) give(h, w->station[s].port, ring, f);
      return;
    }
  }
  for (int i = 0; i < PORTS; i++)
    if (i != h->index && w->port[i].used && !strncmp(w->port[i].name, h->base, prefix)) give(h, i, ring, f);
}

/* Symmetric over addresses and ports; what is no TCP or UDP over IP goes to ring 0, as most NICs do it. */
static uint32_t flow_hash(const uint8_t *e, uint32_t n) {
  uint32_t hash = 0, ip, ports, addresses, each;
  if (n < 54) return 0;
  if (e[12] == 0x08 && e[13] == 0x00 && (e[23] == 6 || e[23] == 17)) {
    ip = 26, each = 4, addresses = 2, ports = 14u + (uint32_t)(e[14] & 15) * 4;
  } else if (e[12] == 0x86 && e[13] == 0xdd && (e[20] == 6 || e[20] == 17)) {
    ip = 22, each = 16, addresses = 2, ports = 54;
  } else return 0;
  if (n < ports + 4) return 0;
  for (uint32_t i = 0; i < each * addresses; i++) hash += (uint32_t)e[ip + i] * (1u << (8 * (i & 1)));
  hash += (uint32_t)(e[ports] << 8 | e[ports + 1]) + (uint32_t)(e[ports + 2] << 8 | e[ports + 3]);
  return (hash * 2654435761u) >> 16;
}

static int forward(struct handle *h, uint32_t ring, const struct frame *f) {
  char other[NAME];
  snprintf(other, sizeof other, "%s", h->base);
  struct port *p = h->port;
  switch (p->kind) {
    case VALE:
      switched(h, ring, f);
      return 1;
    case CABLE: {
      char *last = other + strlen(other) - 1;
      *last = *last == 'a' ? 'b' : 'a';
      int index = find(h->world, other);
      struct port *to = index < 0 ? NULL : port_at(h, index);
      if (!to) return 1;
      if (ring >= p->tx) give(h, index, to->rx + (ring - p->tx) % (to->host_rx ? to->host_rx : 1), f);
      else give(h, index, flow_hash(f->at[0] + p->hdr_len, f->len[0] - p->hdr_len) % to->rx, f);
      return 1;
    }
    default: {
      char *brace = strpbrk(other, "{}");
      *brace = *brace == '{' ? '}' : '{';
      int index = find(h->world, other);
      return index >= 0 && give(h, index, ring, f);
    }
  }
}

static int window_is_bad(struct ring *r, struct kring *k) {
  uint32_t limit = distance(r, k->hwcur, k->hwtail);
  if (r->head >= r->num_slots || r->cur >= r->num_slots) return 1;
  return distance(r, k->hwcur, r->head) > limit || distance(r, r->head, r->cur) > distance(r, r->head, k->hwtail);
}

static void reset(struct ring *r, struct kring *k) {
  r->head = r->cur = k->hwcur;
  r->tail = k->hwtail;
}

static void txsync(struct handle *h, uint32_t i) {
  struct ring *r = ring_of(h->port, 0, i);
  struct kring *k = &h->port->ktx[i];
  if (window_is_bad(r, k)) return reset(r, k);
  struct frame f = {0};
  uint32_t first = k->hwcur;
  for (uint32_t at = k->hwcur; at != r->head; at = next(r, at)) {
    struct slot *s = &r->slot[at];
    int good = s->idx >= 2 && s->idx < h->port->buffers && s->len <= BUF && f.count < FRAGS;
    if (good) {
      f.at[f.count] = buf_of(r, s->idx);
      f.len[f.count++] = s->len;
      f.total += s->len;
    }
    if (s->flags & MOREFRAG) continue;
    if (good && !forward(h, i, &f) && h->port->kind == PIPE) break;
    f = (struct frame){0};
    first = next(r, at);
  }
  /* A switch takes all that there is, and throws away a frame without an end. A pipe keeps what does not fit. */
  k->hwcur = h->port->kind == PIPE ? first : r->head;
  k->hwtail = (k->hwcur + r->num_slots - 1) % r->num_slots;
  r->tail = k->hwtail;
}

static void rxsync(struct handle *h, uint32_t i) {
  struct ring *r = ring_of(h->port, 1, i);
  struct kring *k = &h->port->krx[i];
  if (window_is_bad(r, k)) return reset(r, k);
  k->hwcur = r->head;
  r->tail = k->hwtail;
  if (k->hwcur != k->hwtail || !k->told) return;
  char drain[16];
  while (read(h->fifo[i - h->d.first_rx], drain, sizeof drain) > 0) ;
  k->told = 0;
}

static int control(struct handle *h, struct header *request) {
  uint32_t *length = (uint32_t *)(uintptr_t)request->body;
  if (request->version != API) { errno = EINVAL; return -1; }
  lock(h);
  int index = find(h->world, request->name), result = -1;
  struct port *p = index < 0 ? NULL : port_at(h, index);
  errno = p ? EINVAL : ENXIO;
  if (p && request->type == 7) {
    *length = p->hdr_len;
    result = 0;
  } else if (p && request->type == 6 && p->kind == VALE && (*length == 0 || *length == 10 || *length == 12)) {
    p->hdr_len = *length;
    result = 0;
  }
  unlock(h);
  return result;
}

int ioctl(int fd, unsigned long request, ...) {
  va_list list;
  va_start(list, request);
  void *argument = va_arg(list, void *);
  va_end(list);
  struct handle *h = fd >= 0 && fd < 4096 ? handles[fd] : NULL;
  if (!h) return (int)syscall(SYS_ioctl, fd, request, argument);
  switch (request) {
    case NIOCTXSYNC:
      lock(h);
      for (uint32_t i = h->d.first_tx; i <= h->d.last_tx; i++) txsync(h, i);
      unlock(h);
      return 0;
    case NIOCRXSYNC:
      lock(h);
      for (uint32_t i = h->d.first_rx; i <= h->d.last_rx; i++) rxsync(h, i);
      unlock(h);
      return 0;
    case NIOCCTRL:
      return control(h, argument);
    default:
      errno = ENOTTY;
      return -1;
  }
}

/* ---- ports ---- */

static uint32_t option(const char *conf, const char *name, uint32_t fallback) {
  const char *found = strstr(conf, name);
  return found ? (uint32_t)atoi(found + strlen(name)) : fallback;
}

static int create(struct handle *h, int index) {
  struct world *w = h->world;
  int pipe = strpbrk(h->base, "{}") != NULL, vale = !strncmp(h->base, "vale", 4);
  uint32_t rings = option(h->conf, ":rings=", option(h->conf, ",rings=", 1)), slots = option(h->conf, "slots=", 1024);
  uint32_t host = vale || pipe ? 0 : option(h->conf, "host-rings=", 1);
  if (rings < 1 || host > 4 || rings + host > RINGS || slots < 2 || slots > 16384) { errno = EINVAL; return -1; }
  uint32_t all = 2 * (rings + host), ring_size = (256 + slots * 16 + 63) / 64 * 64;
  uint32_t first = (sizeof(struct nmif) + all * 8 + 63) / 64 * 64, buffers = 2 + all * slots;
  uint64_t pool = ((uint64_t)first + (uint64_t)all * ring_size + 4095) / 4096 * 4096;
  uint64_t size = USER + pool + (uint64_t)buffers * BUF;
  char path[320];
  w->port[index].generation = ++w->generation;
  path_of(path, sizeof path, index, w->generation, -1);
  struct port *p = map_file(path, size, 1);
  if (!p) return -1;
  snprintf(p->name, NAME, "%s", h->base);
  p->kind = pipe ? PIPE : vale ? VALE : CABLE;
  p->tx = p->rx = rings;
  p->host_tx = p->host_rx = host;
  p->slots = slots;
  p->buffers = buffers;
  p->size = size;
  struct nmif *n = nmif_of(p);
  snprintf(n->name, sizeof n->name, "%.15s", h->base);
  n->tx = n->rx = rings;
  n->host_tx = n->host_rx = host;
  uint32_t idx = 2;
  for (uint32_t i = 0; i < all; i++) {
    struct ring *r = (struct ring *)((char *)n + first + (uint64_t)i * ring_size);
    n->ofs[i] = (char *)r - (char *)n;
    r->buf_ofs = (int64_t)(pool - (uint64_t)((char *)r - (char *)n));
    r->num_slots = slots;
    r->buf_size = BUF;
    r->dir = i >= rings + host;
    r->ringid = (uint16_t)(i % (rings + host));
    /* In no order that anybody could count on. */
    for (uint32_t s = 0; s < slots; s++) r->slot[i & 1 ? s : slots - 1 - s].idx = idx++;
    if (!r->dir) p->ktx[i].hwtail = r->tail = slots - 1;
    else {
      path_of(path, sizeof path, index, w->generation, (int)(i - rings - host));
      if (mkfifo(path, 0600) < 0 && errno != EEXIST) return -1;
    }
  }
  munmap(p, size);
  snprintf(w->port[index].name, NAME, "%s", h->base);
  w->port[index].used = 1;
  return 0;
}

static int suffix(struct handle *h, const char *text) {
  struct reg *reg = &h->d.reg;
  size_t n = strcspn(text, "^*/@");
  const char *rest = text + n, *digits = text + n;
  while (digits > text && digits[-1] >= '0' && digits[-1] <= '9') digits--;
  reg->mode = 1;
  if (strpbrk(h->base, "{}")) reg->mode = strchr(h->base, '{') ? 5 : 6;
  else if (digits < text + n && digits > text && digits[-1] == '-') {
    reg->mode = 4;
    reg->ringid = (uint16_t)atoi(digits);
    h->base[strlen(h->base) - (size_t)(text + n - digits) - 1] = 0;
  }
  if (*rest == '^') reg->mode = reg->mode == 4 ? 8 : 2, rest++;
  else if (*rest == '*') reg->mode = 3, rest++;
  if (*rest == '/') {
    for (rest++; *rest && *rest != '@'; rest++) {
      switch (*rest) {
        case 'x': reg->flags |= 0x800; break;
        case 't': reg->flags |= 0x100; break;
        case 'r': reg->flags |= 0x200; break;
        case 'z': reg->flags |= 0x400; break;
        case 'R': reg->flags |= 0x2000; break;
        case 'T': reg->flags |= 0x4000; break;
        default: return -1;
      }
    }
  }
  if (*rest == '@') snprintf(h->conf, sizeof h->conf, ":%s", strchr(rest, ':') ? strchr(rest, ':') + 1 : ""), rest = "";
  return *rest ? -1 : 0;
}

struct nmport_d *nmport_prepare(const char *name) {
  struct handle *h = calloc(1, sizeof *h);
  if (!h) return NULL;
  h->d.fd = h->lock = -1;
  h->d.hdr.version = (uint16_t)api;
  h->d.hdr.type = 1;
  for (int i = 0; i < RINGS; i++) h->fifo[i] = -1;
  const char *text = name;
  int vale = !strncmp(name, "vale", 4) && strchr(name, ':');
  if (!strncmp(name, "netmap:", 7)) text += 7;
  else if (!vale) goto bad;
  size_t n = strcspn(text, "^*/@");
  if (n == 0 || n >= NAME || (vale && (text[n - 1] == ':' || strchr(text, ':') - text >= 15))) goto bad;
  memcpy(h->base, text, n);
  if (suffix(h, text) < 0) goto bad;
  memcpy(h->d.hdr.name, h->base, NAME);
  return &h->d;
bad:
  free(h);
  errno = EINVAL;
  return NULL;
}

static int known(const char *base) {
  if (!strncmp(base, "vale", 4) || strpbrk(base, "{}")) return 1;
  size_t n = strlen(base);
  return !strncmp(base, "cable", 5) && (base[n - 1] == 'a' || base[n - 1] == 'b');
}

static int bind_rings(struct handle *h) {
  struct port *p = h->port;
  struct reg *reg = &h->d.reg;
  uint32_t first = 0, last = p->tx - 1;
  switch (reg->mode) {
    case 2: first = p->tx; last = p->tx + p->host_tx - 1; break;
    case 3: last = p->tx + p->host_tx - 1; break;
    case 4: first = last = reg->ringid; break;
    case 8: first = last = p->tx + reg->ringid; break;
  }
  uint32_t limit = reg->mode == 4 ? p->tx : p->tx + p->host_tx;
  if (last < first || last >= limit) { errno = EINVAL; return -1; }
  h->d.first_tx = h->d.first_rx = h->d.cur_tx = h->d.cur_rx = (uint16_t)first;
  h->d.last_tx = h->d.last_rx = (uint16_t)last;
  char path[320];
  for (uint32_t i = first; i <= last; i++) {
    path_of(path, sizeof path, h->index, h->world->port[h->index].generation, (int)i);
    int fd = h->fifo[i - first] = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    if (fd < 0 || epoll_ctl(h->d.fd, EPOLL_CTL_ADD, fd, &event) < 0) return -1;
  }
  return 0;
}

int nmport_open_desc(struct nmport_d *d) {
  struct handle *h = (struct handle *)d;
  char path[320];
  if (!present) { errno = ENOENT; return -1; }
  if (d->hdr.version != API) { errno = EINVAL; return -1; }
  if (!known(h->base)) { errno = ENXIO; return -1; }
  snprintf(path, sizeof path, "%s/lock", dir());
  h->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (h->lock < 0) return -1;
  lock(h);
  snprintf(path, sizeof path, "%s/world", dir());
  h->world = map_file(path, sizeof *h->world, 1);
  if (!h->world) goto bad;
  h->index = find(h->world, h->base);
  if (h->index >= 0) {
    struct port *p = port_at(h, h->index);
    if (!p || !alive(p)) { forget(h, h->index); h->index = -1; }
  }
  if (h->index < 0) {
    for (h->index = 0; h->index < PORTS && h->world->port[h->index].used; h->index++) ;
    if (h->index == PORTS) { errno = ENOMEM; goto bad; }
    if (create(h, h->index) < 0) goto bad;
  }
  h->port = port_at(h, h->index);
  if (!h->port) goto bad;
  for (h->slotnr = 0; h->slotnr < OPENS && h->port->open[h->slotnr]; h->slotnr++) ;
  if (h->slotnr == OPENS || ((d->reg.flags & 0x800) && alive(h->port))) { errno = EBUSY; goto bad; }
  d->fd = epoll_create1(EPOLL_CLOEXEC);
  if (d->fd < 0 || d->fd >= 4096 || bind_rings(h) < 0) goto bad;
  h->port->open[h->slotnr] = getpid();
  h->opened = 1;
  d->nifp = nmif_of(h->port);
  d->reg.offset = 0;
  d->reg.memsize = h->port->size - USER;
  /* The description does not lie at the start of a real allocator's memory either. */
  d->reg.offset = 4096;
  d->reg.memsize += 4096;
  d->reg.tx_rings = d->reg.rx_rings = (uint16_t)h->port->tx;
  d->register_done = d->mmap_done = 1;
  pthread_mutex_lock(&mutex);
  handles[d->fd] = h;
  pthread_mutex_unlock(&mutex);
  unlock(h);
  return 0;
bad:
  unlock(h);
  return -1;
}

void nmport_close(struct nmport_d *d) {
  if (!d) return;
  struct handle *h = (struct handle *)d;
  if (d->fd >= 0) {
    pthread_mutex_lock(&mutex);
    handles[d->fd] = NULL;
    pthread_mutex_unlock(&mutex);
    close(d->fd);
  }
  for (int i = 0; i < RINGS; i++) if (h->fifo[i] >= 0) close(h->fifo[i]);
  if (h->opened) {
    lock(h);
    h->port->open[h->slotnr] = 0;
    if (!alive(h->port)) forget(h, h->index);
    unlock(h);
  }
  for (int i = 0; i < PORTS; i++) if (h->map[i].port) munmap(h->map[i].port, h->map[i].size);
  if (h->world) munmap(h->world, sizeof *h->world);
  if (h->lock >= 0) close(h->lock);
  free(h);
}

struct nmport_d *nmport_open(const char *name) {
  struct nmport_d *d = nmport_prepare(name);
  if (d && nmport_open_desc(d) == 0) return d;
  int error = errno;
  nmport_close(d);
  errno = error;
  return NULL;
}

int nmport_inject(struct nmport_d *d, const void *from, size_t size) {
  struct handle *h = (struct handle *)d;
  uint32_t need = size == 0 ? 1 : (uint32_t)((size + BUF - 1) / BUF);
  for (uint32_t i = d->cur_tx, tried = 0; tried <= (uint32_t)(d->last_tx - d->first_tx); tried++) {
    struct ring *r = ring_of(h->port, 0, i);
    if (distance(r, r->cur, r->tail) >= need) {
      const char *at = from;
      size_t left = size;
      uint32_t slot = r->cur;
      for (uint32_t n = 0; n < need; n++, slot = next(r, slot)) {
        size_t part = left > BUF ? BUF : left;
        memcpy(buf_of(r, r->slot[slot].idx), at, part);
        r->slot[slot].len = (uint16_t)part;
        r->slot[slot].flags = n + 1 < need ? MOREFRAG : 0;
        at += part;
        left -= part;
      }
      r->head = r->cur = slot;
      d->cur_tx = (uint16_t)i;
      return (int)size;
    }
    i = i == d->last_tx ? d->first_tx : i + 1;
  }
  return 0;
}
