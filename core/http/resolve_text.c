#include "core/http/resolve.h"

#include <arpa/inet.h>
#include <string.h>

bool resolve_numeric(struct resolve_address *out, const char *host)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

    *out = (struct resolve_address){ 0 };
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(&out->sa, &v4, sizeof(v4));
        out->len = sizeof(v4);
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        memcpy(&out->sa, &v6, sizeof(v6));
        out->len = sizeof(v6);
        return true;
    }
    return false;
}

void resolve_set_port(struct resolve_address *a, uint16_t port)
{
    if (a->sa.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&a->sa)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)&a->sa)->sin_port = htons(port);
}

void resolve_text(const struct sockaddr *sa, char *out, size_t bytes, uint16_t *port)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;

    *port = 0;
    if (bytes)
        *out = 0;
    if (sa->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, out, (socklen_t)bytes);
        *port = ntohs(v6->sin6_port);
    } else if (sa->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, out, (socklen_t)bytes);
        *port = ntohs(v6->sin6_port);
    } else if (sa->sa_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, out, (socklen_t)bytes);
        *port = ntohs(v4->sin_port);
    }
}
