# One-liners. What needs code is a test or a script that says so.
CACHE := $(or $(RAMGATE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/ramgate)
TOOLS := $(CACHE)/tools
DENY  := $(TOOLS)/bin/cargo-deny
FUZZ  := $(TOOLS)/bin/cargo-fuzz
NGINX := $(TOOLS)/nginx/usr/sbin/nginx
ROOT  := $(if $(filter 0,$(shell id -u)),,sudo --preserve-env=HOME,PATH,RAMGATE_CACHE,XDG_CACHE_HOME,CARGO_TARGET_DIR)
# As `make plugin PROFILE=dev PLUGIN=/some/folder`.
PROFILE := release
PLUGIN  := $(or $(CARGO_TARGET_DIR),target)/plugin
export RAMGATE_CACHE := $(CACHE)

.PHONY: build plugin demo test test-unit test-engines test-bypass test-crash check fmt lint doc deny golden fuzz bench provision clean

build:        ; cargo build --release --locked
# A Docker managed plugin, as `docker plugin create` takes it. Beside the program, static, there is nothing in it but where it finds
# names. On a host it would not do: a static program that meets another glibc's module in the host's nsswitch.conf dies of it.
plugin:
	install -D -m 0644 -t $(PLUGIN) config.json
	install -d $(PLUGIN)/rootfs/etc $(PLUGIN)/rootfs/usr/local/bin
	echo 'hosts: files dns' >$(PLUGIN)/rootfs/etc/nsswitch.conf
	cargo rustc --locked --profile $(PROFILE) --bin ramgate -- -C target-feature=+crt-static -C strip=symbols \
		--emit=link=$(abspath $(PLUGIN))/rootfs/usr/local/bin/ramgate
demo: build provision
	$(ROOT) cargo run --release --locked --quiet -p ramgate-lab --bin demo -- --ramgate $${CARGO_TARGET_DIR:-target}/release/ramgate
test: test-unit test-engines test-bypass
test-unit:    ; cargo test --locked
test-engines: provision
	$(ROOT) cargo test --locked -p ramgate-lab -p ramgate --features engines \
		--test lab --test engines --test differential --test clients --test managed --test service --test install
# Fifty crashes under load. Not part of `make test`: docker's own command sometimes does not end when its engine's plugin dies.
test-crash: provision
	$(ROOT) cargo test --locked -p ramgate --features engines --test crash -- --nocapture
# Every attempt of the corpus on every engine, and its control.
test-bypass: provision
	$(ROOT) cargo test --locked --features engines --test bypass
provision:    ; $(ROOT) tests/support/provision
check: fmt lint doc deny
fmt:          ; cargo fmt --all --check
lint:         ; cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
doc:          ; RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --locked
# Advisories need the advisory database from the network: `make audit`.
deny: $(DENY) ; $(DENY) --locked check bans licenses sources
audit: $(DENY); $(DENY) check advisories
$(DENY):      ; cargo install cargo-deny --version 0.20.2 --locked --root $(TOOLS)
golden:
	cargo run --locked --quiet -- policy schema > docs/policy.schema.json
	INSTA_UPDATE=always cargo test --locked -p ramgate-policy -p ramgate-plugin
# One target at a time, as in `make fuzz TARGET=go_json SECONDS=600`. The stable compiler will do.
fuzz: $(FUZZ)
	mkdir -p fuzz/corpus/$(or $(TARGET),request)
	RUSTC_BOOTSTRAP=1 PATH=$(TOOLS)/bin:$$PATH cargo fuzz run --sanitizer none $(or $(TARGET),request) \
		fuzz/corpus/$(or $(TARGET),request) fuzz/seeds/$(or $(TARGET),request) -- -max_total_time=$(or $(SECONDS),60) -max_len=4096
$(FUZZ):      ; cargo install cargo-fuzz --version 0.13.1 --locked --root $(TOOLS)
# Parts: decision, plugin, mirror, engine, footprint; as in `make bench ARGS=plugin`. What is missing is skipped, and said.
bench: $(NGINX); $(ROOT) cargo bench --locked --bench peers -- $(ARGS)
# A peer of the mirror, unpacked and not installed. Elsewhere than on Debian it is skipped.
$(NGINX):
	@mkdir -p $(TOOLS)/nginx
	-cd $(TOOLS)/nginx && apt-get download nginx && dpkg-deb --extract nginx_*.deb . && rm nginx_*.deb
clean:        ; cargo clean
