# apt.sh: an apt of our own for any suite: its own lists, cache and status; the host's mirror, proxies and credentials,
# the host's packages untouched. apt verifies the Release signature against the Debian archive keys. Sourced.
#
#   apt_init DIR ARCH SUITE      INRO_APT_URI and INRO_APT_SECURITY_URI override the host's own configuration
#   aptc get|cache ARGS...

# apt_init DIR ARCH SUITE [need-security]: fails when the suite (and, if asked, its security suite) is not served
apt_init() {
    local ap=$1 arch=$2 suite=$3 uris main sec ring='' k
    mkdir -p "$ap"/{lists/partial,cache/archives/partial,etc/sources.list.d,etc/preferences.d,etc/trusted.gpg.d}
    : > "$ap/status"
    uris=$(apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' | sort -u)
    main=${INRO_APT_URI:-$(grep -v -- '-security' <<< "$uris" | head -n1 || :)}
    sec=${INRO_APT_SECURITY_URI:-$(grep -- '-security' <<< "$uris" | head -n1 || :)}
    [ "$suite" != sid ] || sec=''                    # unstable has no security suite
    [ -n "$main" ] || { echo "apt.sh: no Debian archive in this host's apt configuration; set INRO_APT_URI" >&2; return 1; }
    for k in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do [ ! -r "$k" ] || { ring=$k; break; }; done
    [ -n "$ring" ] || { echo "apt.sh: install debian-archive-keyring" >&2; return 1; }
    apt_source() { printf 'Types: deb deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n\n' "$1" "$2" "$ring"; }
    { apt_source "$main" "$suite"; [ -z "$sec" ] || apt_source "$sec" "$suite-security"; } > "$ap/etc/sources.list.d/debian.sources"
    cat > "$ap/apt.conf" <<C
Dir::State "$ap"; Dir::State::lists "$ap/lists"; Dir::State::status "$ap/status";
Dir::Cache "$ap/cache"; Dir::Etc::sourcelist "/dev/null"; Dir::Etc::sourceparts "$ap/etc/sources.list.d";
Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "$ap/etc/preferences.d";
Dir::Etc::trusted "/dev/null"; Dir::Etc::trustedparts "$ap/etc/trusted.gpg.d";
APT::Architecture "$arch"; APT::Architectures { "$arch"; }; APT::Install-Recommends "false";
APT::Get::AllowUnauthenticated "false"; Acquire::AllowInsecureRepositories "false"; Acquire::AllowWeakRepositories "false";
Acquire::Languages "none"; Acquire::Retries "3"; Debug::NoLocking "true";
C
    [ "$(id -u)" != 0 ] || echo 'APT::Sandbox::User "root";' >> "$ap/apt.conf"
    apt_config=$ap/apt.conf
    if ! aptc get update -qq; then   # a mirror between two syncs: the main suite still stands alone
        [ "${4:-}" != need-security ] && [ -n "$sec" ] || return 1
        echo "apt.sh: note: no $suite-security just now: going on without its updates" >&2
        apt_source "$main" "$suite" > "$ap/etc/sources.list.d/debian.sources"; rm -rf "$ap"/lists/*security*
        aptc get update -qq
    fi
}

aptc() { APT_CONFIG="$apt_config" "apt-$1" "${@:2}"; }
