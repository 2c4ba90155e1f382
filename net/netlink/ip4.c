/* ip4.c -- IPv4 addresses and networks as text; part of the door netlink.h. */
#include <arpa/inet.h>
#include <stdio.h>

#include "core/base/str.h"
#include "net/netlink/netlink.h"

static int ip4_parse_both(struct ip4 *out, const char *text, bool need_prefix, struct err *err)
{
    char addr[INET_ADDRSTRLEN];
    struct in_addr in;
    const char *slash = text ? strchr(text, '/') : NULL;
    int64_t prefix = 32;
    size_t len;

    if (!text)
        return err_set(err, ERR_INVALID, "no address");
    len = slash ? (size_t)(slash - text) : strlen(text);
    if (len >= sizeof(addr))
        return err_set(err, ERR_INVALID, "\"%.40s\" is no IPv4 address", text);
    memcpy(addr, text, len);
    addr[len] = 0;
    if (inet_pton(AF_INET, addr, &in) != 1)
        return err_set(err, ERR_INVALID, "\"%.40s\" is no IPv4 address", text);
    if (need_prefix && !slash)
        return err_set(err, ERR_INVALID, "\"%s\" is no network: it has no /prefix", text);
    if (slash && str_to_i64(slash + 1, 0, 32, &prefix, NULL) < 0)
        return err_set(err, ERR_INVALID, "\"%.40s\": the prefix is not 0 to 32", text);
    *out = (struct ip4){ ntohl(in.s_addr), (uint8_t)prefix };
    return 0;
}

int ip4_parse(struct ip4 *out, const char *text, struct err *err)
{
    return ip4_parse_both(out, text, false, err);
}

int ip4_parse_net(struct ip4 *out, const char *text, struct err *err)
{
    struct ip4 ip;

    if (ip4_parse_both(&ip, text, true, err) < 0)
        return -1;
    ip.addr &= ip4_mask(ip.prefix);
    *out = ip;
    return 0;
}

const char *ip4_addr_text(char out[IP4_TEXT_BYTES], uint32_t addr)
{
    snprintf(out, IP4_TEXT_BYTES, "%u.%u.%u.%u", addr >> 24, addr >> 16 & 255, addr >> 8 & 255,
             addr & 255);
    return out;
}

const char *ip4_text(char out[IP4_TEXT_BYTES], struct ip4 ip)
{
    ip4_addr_text(out, ip.addr);
    if (ip.prefix < 32)
        snprintf(out + strlen(out), IP4_TEXT_BYTES - strlen(out), "/%u", ip.prefix);
    return out;
}
