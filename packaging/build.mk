# build.mk: what is compiled from what. Run by build.sh, which writes $(O)/config.mk first.
# O is the folder of one configuration (architecture and sanitizer), such as out/obj/amd64-asan.
include $(O)/config.mk
.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:

warn := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
        -Wpointer-arith -Wundef
common := -std=gnu11 -g -pipe -fPIE -fno-common -ffunction-sections -fdata-sections -D_GNU_SOURCE
flags := $(common) $(OPT) $(INCLUDE) $(MAP)
# no comments, no NaN: nothing asks for them
strict := -DYYJSON_DISABLE_NON_STANDARD=1
libs := -lmbedtls -lmbedx509 -lmbedcrypto -lsqlite3 -llua5.4 -lseccomp -lmnl -lnghttp2 -lllhttp \
        -lyaml -lz -lzstd -ldeflate -lm

rooms := $(wildcard cmd/*.c cmd/*/*.c core/*/*.c store/*/*.c runtime/*/*.c net/*/*.c plugins/*/*.c)
gen := $(wildcard out/gen/*.c)
harness := $(wildcard tests/harness/test*.c)
fakes := $(wildcard tests/fake/*.c)
unit := $(wildcard tests/unit/*/*.c tests/unit/*/*/*.c)
sandbox := $(wildcard tests/sandbox/test_*.c)
sim := $(wildcard tests/sim/*.c)
fuzzers := $(wildcard tests/fuzz/fuzz_*.c)
benches := $(wildcard tests/bench/*.c)
obj = $(patsubst %.c,$(O)/%.o,$(1))

lib := $(O)/libinro.a
main := $(wildcard cmd/main.c)
members := $(call obj,$(filter-out cmd/main.c,$(rooms)) $(gen)) $(O)/yyjson.o
all := $(rooms) $(gen) $(harness) $(fakes) $(unit) $(sandbox) $(sim) $(fuzzers) $(benches)
shared := $(call obj,$(harness) $(fakes)) $(lib)

.PHONY: headers inro objects unit sandbox sim fuzzers benches rooms compile_commands FORCE
inro: $(lib) $(if $(main),$(O)/inro)
rooms: $(call obj,$(rooms) $(gen)) $(lib)
objects: $(call obj,$(all)) $(lib)
unit: $(if $(unit),$(O)/unit)
sandbox: $(if $(sandbox),$(O)/sandbox)
sim: $(if $(sim),$(O)/sim)
fuzzers: $(patsubst tests/fuzz/%.c,$(O)/fuzz/%,$(fuzzers))
benches: $(patsubst tests/bench/%.c,$(O)/bench/%,$(benches))

# --- compile; what waits for the kernel, the disk or a person is made small instead of fast
cold := cmd core/auth core/control core/object/rules core/object/schema_doc core/object/table core/object/convert \
        core/object/apply core/object/patch core/base/fd core/base/yaml core/client/slice core/client/client_slice \
        core/client/recorder core/api/api_alloc core/api/api_apply core/api/api_connect core/api/api_csr \
        core/api/api_delete core/api/api_discovery core/api/api_health core/api/api_join core/api/api_metric \
        core/api/api_negotiate core/api/api_openapi core/api/api_path core/api/api_proxy core/api/api_query \
        core/api/api_sub core/api/api_token core/http/resolve core/http/spdy core/http/websocket \
        core/crypto/crypto_c core/crypto/crypto_i core/crypto/crypto_k plugins/admit runtime/cgroup \
        runtime/confine runtime/image/image_au runtime/image/image_b runtime/image/image_f \
        runtime/image/image_g runtime/image/image_l runtime/image/image_m runtime/image/image_p \
        runtime/image/image_r runtime/node runtime/oci runtime/shim net/dns net/netlink net/pod net/proxy net/tunnel
$(O)/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	$(CC) $(flags) $(if $(filter $(cold:=%),$<),$(COLD)) $(warn) -MMD -MP -c $< -o $@
$(O)/yyjson.o: $(YYJSON) $(O)/flags
	$(CC) $(flags) $(strict) -w -c $< -o $@

# a file that changes when its content (the variable $(1)) does, so that flags and lists are prerequisites
define remember
	@mkdir -p $(@D)
	@printf '%s\n' '$(1)' | cmp -s - $@ || printf '%s\n' '$(1)' > $@
endef
$(O)/flags: FORCE
	$(call remember,$(CC) $(flags) $(strict) $(warn) $(COLD): $(cold))
$(O)/members: FORCE
	$(call remember,$(members))
$(O)/tests.list: FORCE
	$(call remember,$(harness) $(fakes) $(unit) $(sandbox) $(sim))
$(O)/link: FORCE
	$(call remember,$(LINK) $(libs))

# --- archive and link; static glibc warns about calls our code never makes (tests/lint bans them)
$(lib): $(members) $(O)/members
	@rm -f $@
	ar rcsD $@ $(members)
define link
	@mkdir -p $(@D)
	$(CC:ccache%=%) $(OPT) $(LINK) -o $@ $(1) $(libs) 2> $@.log; s=$$?; \
	    grep -v -e 'statically linked applications' -e 'in function' -e 'garbage' -e 'message above' $@.log >&2; exit $$s
endef
$(O)/inro.debug: $(call obj,cmd/main.c) $(lib) $(O)/link
	$(call link,$(call obj,cmd/main.c) $(lib))
$(O)/inro: $(O)/inro.debug
	$(STRIP) -o $@ $<
$(O)/unit: $(call obj,$(unit)) $(shared) $(O)/link $(O)/tests.list
	$(call link,$(call obj,$(unit)) $(shared))
$(O)/sandbox: $(call obj,$(sandbox)) $(shared) $(O)/link $(O)/tests.list
	$(call link,$(call obj,$(sandbox)) $(shared))
$(O)/sim: $(call obj,$(sim)) $(shared) $(O)/link $(O)/tests.list
	$(call link,$(call obj,$(sim)) $(shared))
$(O)/fuzz/%: $(O)/tests/fuzz/%.o $(call obj,tests/harness/fuzz_driver.c $(fakes)) $(lib) $(O)/link
	$(call link,$< $(call obj,tests/harness/fuzz_driver.c $(fakes)) $(lib))
$(O)/bench/%: $(O)/tests/bench/%.o $(call obj,$(fakes)) $(lib) $(O)/link
	$(call link,$< $(call obj,$(fakes)) $(lib))

# --- each header compiles alone (tests/lint)
headers := $(wildcard cmd/*.h cmd/*/*.h core/*/*.h store/*/*.h runtime/*/*.h net/*/*.h plugins/*/*.h tests/*/*.h)
headers: $(patsubst %,$(O)/alone/%.o,$(headers))
$(O)/alone/%.h.o: %.h $(O)/flags
	@mkdir -p $(@D)
	@echo '#include "$<"' > $(@:.o=.c)
	$(CC) $(flags) $(warn) -MMD -MP -c $(@:.o=.c) -o $@

compile_commands:
	@{ echo '['; for f in $(all); do \
	    printf '{"directory":"%s","file":"%s","command":"%s"},\n' \
	    '$(CURDIR)' $$f '$(CC:ccache%=%) $(flags) $(warn) -c '$$f; \
	done | sed '$$s/,$$//'; echo ']'; } > out/compile_commands.json

-include $(patsubst %.o,%.d,$(call obj,$(all) tests/harness/fuzz_driver.c)) \
    $(patsubst %,$(O)/alone/%.d,$(headers))
