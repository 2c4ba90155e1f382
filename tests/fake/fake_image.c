/* fake_image.c -- tars, layers and archives of images, made in memory for tests. */
#include "tests/fake/fake_image.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "core/base/fd.h"
#include "core/base/mem.h"
#include "core/crypto/crypto.h"
#include "runtime/image/image_manifest.h"
#include "tests/harness/test.h"

#define TAR_BLOCK 512

static void fake_octal(char *at, size_t len, uint64_t v)
{
    char text[24];

    snprintf(text, sizeof(text), "%0*llo", (int)len - 1, (unsigned long long)v);
    memcpy(at, text, len);
}

void fake_tar_sum(char *h)
{
    unsigned sum = 0;

    memset(h + 148, ' ', 8);
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += (unsigned char)h[i];
    fake_octal(h + 148, 7, sum);
}

static void fake_tar_block(struct buf *tar, const void *p, size_t len)
{
    static const char zeros[TAR_BLOCK];

    buf_add(tar, p, len);
    if (len % TAR_BLOCK)
        buf_add(tar, zeros, TAR_BLOCK - len % TAR_BLOCK);
}

static void fake_tar_pax(struct buf *tar, struct slice rest)
{
    _cleanup_buf_ struct buf b = BUF_INIT;
    struct slice one;

    while (slice_split(&rest, '\n', &one)) {
        size_t len = one.len + 3;

        if (one.len == 0)
            continue;
        while (snprintf(NULL, 0, "%zu", len) + one.len + 2 != len)
            len++;
        buf_fmt(&b, "%zu ", len);
        buf_add(&b, one.p, one.len);
        buf_chr(&b, '\n');
    }
    fake_tar_add(tar, (struct fake_entry){ .type = 'x', .path = "pax", .data = b.p, .len = b.len });
}

void fake_tar_add(struct buf *tar, struct fake_entry e)
{
    char h[TAR_BLOCK] = { 0 };
    size_t len = e.data && !e.len ? strlen(e.data) : e.len;
    size_t path = strlen(e.path);

    if (e.pax)
        fake_tar_pax(tar, (struct slice){ e.pax, e.pax_len ? e.pax_len : strlen(e.pax) });
    memcpy(h, e.path, path < 100 ? path : 100);
    fake_octal(h + 100, 8, e.mode ? e.mode : e.type == '5' ? 0755 : 0644);
    fake_octal(h + 108, 8, e.uid < 0 ? getuid() : (uint64_t)e.uid);
    fake_octal(h + 116, 8, e.gid < 0 ? getgid() : (uint64_t)e.gid);
    fake_octal(h + 124, 12, len);
    fake_octal(h + 136, 12, (uint64_t)e.mtime);
    h[156] = e.type;
    if (e.link)
        memcpy(h + 157, e.link, strlen(e.link) < 100 ? strlen(e.link) : 100);
    memcpy(h + 257, "ustar\00000", 8);
    fake_octal(h + 329, 8, e.major);
    fake_octal(h + 337, 8, e.minor);
    fake_tar_sum(h);
    buf_add(tar, h, sizeof(h));
    if (e.data)
        fake_tar_block(tar, e.data, len);
}

void fake_tar_end(struct buf *tar)
{
    static const char zeros[2 * TAR_BLOCK];

    buf_add(tar, zeros, sizeof(zeros));
}

void fake_gzip(struct buf *out, const struct buf *in)
{
    z_stream z = { 0 };
    size_t bound;

    EXPECT(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    bound = deflateBound(&z, in->len) + 64;
    buf_reserve(out, bound);
    z.next_in = (unsigned char *)in->p;
    z.avail_in = (unsigned)in->len;
    z.next_out = (unsigned char *)out->p + out->len;
    z.avail_out = (unsigned)bound;
    EXPECT(deflate(&z, Z_FINISH) == Z_STREAM_END);
    out->len += z.total_out;
    deflateEnd(&z);
}

void fake_zstd(struct buf *out, const struct buf *in)
{
    size_t bound = ZSTD_compressBound(in->len), n;

    buf_reserve(out, bound);
    n = ZSTD_compress(out->p + out->len, bound, in->p, in->len, 3);
    EXPECT(!ZSTD_isError(n));
    out->len += n;
}

void fake_digest(char out[FAKE_DIGEST_BYTES], const struct buf *b)
{
    memcpy(out, "sha256:", 7);
    crypto_sha256_hex(out + 7, b->p ? b->p : "", b->len);
}

void fake_write(const char *path, const struct buf *b)
{
    _cleanup_fd_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct err err = ERR_INIT;

    EXPECT(fd >= 0);
    EXPECT_OK(fd_write_all(fd, b->p, b->len, &err), &err);
}

void fake_read(struct buf *out, const char *path)
{
    struct err err = ERR_INIT;

    EXPECT_OK(fd_read_file(out, AT_FDCWD, path, 64u << 20, &err), &err);
}

void fake_image_layer(struct fake_image *im, const struct buf *tar, enum fake_codec codec)
{
    struct buf *to = &im->layer[im->n];

    EXPECT(im->n < FAKE_LAYERS_MAX);
    fake_digest(im->diff_id[im->n++], tar);
    if (codec == FAKE_GZIP)
        fake_gzip(to, tar);
    else if (codec == FAKE_ZSTD)
        fake_zstd(to, tar);
    else
        buf_add(to, tar->p, tar->len);
}

void fake_image_end(struct fake_image *im)
{
    const char *arch = im->arch ? im->arch : image_platform_host().arch;
    struct buf *m = &im->manifest;

    buf_fmt(&im->config,
            "{\"os\":\"linux\",\"architecture\":\"%s\",\"config\":{%s},\"rootfs\":{\"type\":"
            "\"layers\",\"diff_ids\":[", arch, im->extra ? im->extra : "");
    for (size_t i = 0; i < im->n; i++)
        buf_fmt(&im->config, "%s\"%s\"", i ? "," : "", im->diff_id[i]);
    buf_str(&im->config, "]}}");
    fake_digest(im->id, &im->config);
    buf_fmt(m, "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\","
            "\"config\":{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":"
            "\"%s\","
            "\"size\":%zu},\"layers\":[", im->id, im->config.len);
    for (size_t i = 0; i < im->n; i++) {
        char digest[FAKE_DIGEST_BYTES];

        fake_digest(digest, &im->layer[i]);
        buf_fmt(m, "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\","
                "\"size\":%zu}", i ? "," : "", digest, im->layer[i].len);
    }
    buf_str(m, "]}");
    fake_digest(im->digest, m);
}

void fake_image_deinit(struct fake_image *im)
{
    for (size_t i = 0; i < im->n; i++)
        buf_deinit(&im->layer[i]);
    buf_deinit(&im->config);
    buf_deinit(&im->manifest);
}

static void fake_archive_add(struct buf *tar, const char *path, const struct buf *b)
{
    fake_tar_add(tar, (struct fake_entry){ .type = '0', .path = path, .data = b->p,
        .len = b->len });
}

static void fake_archive_blob(struct buf *tar, const struct buf *b)
{
    char digest[FAKE_DIGEST_BYTES], path[100];

    fake_digest(digest, b);
    snprintf(path, sizeof(path), "blobs/sha256/%s", digest + 7);
    fake_archive_add(tar, path, b);
}

void fake_image_oci(struct buf *tar, const struct fake_image *im, const char *ref_name)
{
    _cleanup_buf_ struct buf index = BUF_INIT;
    _cleanup_buf_ struct buf layout = BUF_INIT;

    buf_str(&layout, "{\"imageLayoutVersion\":\"1.0.0\"}");
    buf_fmt(&index,
            "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"application/vnd.oci.image."
            "manifest.v1+json\",\"digest\":\"%s\",\"size\":%zu,\"annotations\":{\"org.opencontai"
            "ners."
            "image.ref.name\":\"%s\"}}]}", im->digest, im->manifest.len, ref_name);
    fake_archive_add(tar, "oci-layout", &layout);
    fake_archive_add(tar, "index.json", &index);
    fake_archive_blob(tar, &im->manifest);
    fake_archive_blob(tar, &im->config);
    for (size_t i = 0; i < im->n; i++)
        fake_archive_blob(tar, &im->layer[i]);
    fake_tar_end(tar);
}

void fake_image_docker(struct buf *tar, const struct fake_image *im, const char *repo_tag)
{
    _cleanup_buf_ struct buf doc = BUF_INIT;
    char path[100];

    for (size_t i = 0; i < im->n; i++) {
        snprintf(path, sizeof(path), "layer%zu/layer.tar", i);
        fake_archive_add(tar, path, &im->layer[i]);
    }
    fake_archive_add(tar, "config.json", &im->config);
    buf_fmt(&doc, "[{\"Config\":\"config.json\",\"RepoTags\":[\"%s\"],\"Layers\":[", repo_tag);
    for (size_t i = 0; i < im->n; i++)
        buf_fmt(&doc, "%s\"layer%zu/layer.tar\"", i ? "," : "", i);
    buf_str(&doc, "]}]");
    fake_archive_add(tar, "manifest.json", &doc);
    fake_tar_end(tar);
}
