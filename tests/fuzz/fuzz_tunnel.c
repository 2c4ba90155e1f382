/* Frames of a tunnel from a peer: what is understood is written again and understood the same, and
 * it does not matter where the bytes are cut. */
#include "core/base/check.h"
#include "core/base/mem.h"
#include "net/tunnel/tunnel_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(struct buf *out, const struct tunnel_frame *f)
{
    if (f->type == TUNNEL_FRAME_OPEN)
        tunnel_frame_write_open(out, f->stream, f->host, f->port);
    else if (f->type == TUNNEL_FRAME_WINDOW)
        tunnel_frame_write_window(out, f->stream, f->credit);
    else
        tunnel_frame_write(out, f->type, f->stream, f->payload);
}

/* Cut short it is no frame, but never a different one. */
static void check_cuts(struct slice frame)
{
    struct tunnel_frame f;
    size_t cuts[] = { 0, 1, TUNNEL_HEAD_BYTES - 1, TUNNEL_HEAD_BYTES, frame.len / 2,
                      frame.len - 1 };

    for (size_t i = 0; i < ARRAY_LEN(cuts); i++)
        if (cuts[i] < frame.len)
            check(tunnel_frame_read(&f, (struct slice){ frame.p, cuts[i] }, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = { (const char *)data, size };
    struct tunnel_frame f;
    int n;

    while ((n = tunnel_frame_read(&f, rest, NULL)) > 0) {
        struct buf again = BUF_INIT;

        check((size_t)n <= rest.len && n <= TUNNEL_HEAD_BYTES + TUNNEL_PAYLOAD_MAX);
        check(f.type > 0 && f.type < TUNNEL_FRAME_MAX);
        write_again(&again, &f);
        check(again.len == (size_t)n && memcmp(again.p, rest.p, again.len) == 0);
        check_cuts((struct slice){ rest.p, (size_t)n });
        buf_deinit(&again);
        rest.p += n;
        rest.len -= (size_t)n;
    }
    return 0;
}
