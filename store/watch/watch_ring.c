/* watch_ring.c: the recent past, bounded by number, bytes and age. */
#include "store/watch/watch_impl.h"

#include "core/base/mem.h"

struct watch_event *watch_event_unref(struct watch_event *e)
{
    if (e && ref_put(&e->ref)) {
        object_unref(e->object);
        object_unref(e->prev);
        mem_free(e);
    }
    return NULL;
}

static size_t cost(const struct watch_event *e)
{
    return sizeof(*e) + object_bytes(e->object).len;
}

static void drop_oldest(struct watch_cache *w)
{
    struct watch_event *e = watch_ring_at(w, w->first);

    w->bytes -= cost(e);
    w->compacted = e->revision;
    w->first++;
    watch_event_unref(e);
}

void watch_ring_push(struct watch_cache *w, struct watch_event *e)
{
    while (w->first < w->next && (w->next - w->first >= WATCH_RING_EVENTS ||
                                  w->bytes + cost(e) > WATCH_RING_BYTES ||
                                  watch_ring_at(w, w->first)->mono_ms < e->mono_ms - WATCH_RING_MS))
        drop_oldest(w);
    w->ring[w->next++ % WATCH_RING_EVENTS] = e;
    w->bytes += cost(e);
}

void watch_ring_clear(struct watch_cache *w)
{
    while (w->first < w->next)
        drop_oldest(w);
}

uint64_t watch_ring_after(const struct watch_cache *w, int64_t revision)
{
    uint64_t low = w->first, high = w->next;

    while (low < high) {
        uint64_t mid = low + (high - low) / 2;

        if (watch_ring_at(w, mid)->revision <= revision)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}
