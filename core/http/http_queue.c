#include "core/http/http_io.h"

/* least size of a copied piece: small writes share one */
#define QUEUE_COPY_BYTES 1024

static void queue_push(struct http_queue *q, struct http_seg *s)
{
    if (q->last)
        q->last->next = s;
    else
        q->first = s;
    q->last = s;
    q->bytes += s->len;
}

void http_queue_add(struct http_queue *q, const void *p, size_t len)
{
    struct http_seg *s = q->last;
    size_t cap = len < QUEUE_COPY_BYTES ? QUEUE_COPY_BYTES : len;

    if (!len)
        return;
    if (s && s->room >= len) {
        memcpy((char *)s->p + s->len, p, len);
        s->len += len;
        s->room -= len;
        q->bytes += len;
        return;
    }
    s = mem_grow(NULL, sizeof(*s) + cap);
    *s = (struct http_seg){ .p = s->copy, .len = len, .room = cap - len };
    memcpy(s->copy, p, len);
    queue_push(q, s);
}

void http_queue_ref(struct http_queue *q, const void *p, size_t len, void (*release)(void *),
                    void *owner)
{
    struct http_seg *s;

    if (!len) {
        release(owner);
        return;
    }
    s = NEW(struct http_seg);
    *s = (struct http_seg){ .p = p, .len = len, .release = release, .owner = owner };
    queue_push(q, s);
}

static void queue_pop(struct http_queue *q)
{
    struct http_seg *s = q->first;

    q->first = s->next;
    if (!q->first)
        q->last = NULL;
    q->bytes -= s->len;
    if (s->release)
        s->release(s->owner);
    mem_free(s);
}

void http_queue_eat(struct http_queue *q, size_t n)
{
    check(n <= q->bytes);
    while (n) {
        struct http_seg *s = q->first;

        if (n < s->len) {
            s->p += n;
            s->len -= n;
            q->bytes -= n;
            return;
        }
        n -= s->len;
        queue_pop(q);
    }
}

size_t http_queue_copy(const struct http_queue *q, void *out, size_t max)
{
    size_t len = 0;

    for (const struct http_seg *s = q->first; s && len < max; s = s->next) {
        size_t n = s->len < max - len ? s->len : max - len;

        memcpy((char *)out + len, s->p, n);
        len += n;
    }
    return len;
}

void http_queue_move(struct http_queue *to, struct http_queue *from, size_t n)
{
    check(n <= from->bytes);
    while (n) {
        struct http_seg *s = from->first;

        if (n < s->len) {                    /* part of a piece: that part is copied */
            http_queue_add(to, s->p, n);
            http_queue_eat(from, n);
            return;
        }
        n -= s->len;
        from->first = s->next;
        if (!from->first)
            from->last = NULL;
        from->bytes -= s->len;
        s->next = NULL;
        queue_push(to, s);
    }
}

void http_queue_deinit(struct http_queue *q)
{
    while (q->first)
        queue_pop(q);
}
