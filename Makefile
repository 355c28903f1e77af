# Everything here works on a machine with only a Rust toolchain, make and sh:
# scripts/setup.sh installs what is missing and says so.

# Mesa's drivers complain on standard error without a run-time directory, which
# a session without a login, such as a container's, does not have.
ifeq ($(XDG_RUNTIME_DIR),)
export XDG_RUNTIME_DIR := $(CURDIR)/target/run
make_run_dir = mkdir -p -m 700 "$$XDG_RUNTIME_DIR"
endif

.PHONY: help fmt setup demo test test-onnx test-oidn test-drivers gpu-lab on-gpu bench clean
.NOTPARALLEL:

help:
	@echo 'make demo    set up, then run the demo'
	@echo 'make test    set up, then formatting, lints, docs and all tests'
	@echo 'make test-onnx  the ONNX backend tests, which it fetches'
	@echo 'make test-oidn  the denoiser against Open Image Denoise, which it fetches'
	@echo 'make test-drivers  the self-test on five software drivers (Debian, Ubuntu)'
	@echo 'make gpu-lab  compile the kernels with the compilers of six absent GPUs (Debian, Ubuntu)'
	@echo 'make on-gpu  pack what measures a GPU on another machine into target/on-gpu (CONTRIBUTING.md)'
	@echo 'make bench   set up, then time ResNet-50 at batch sizes 1 and 8'
	@echo 'make setup   build, and install a software Vulkan driver if there is no GPU'
	@echo 'make clean   remove what was built and drawn'

fmt:
	@sh scripts/setup.sh --lint
	cargo fmt --check
	cargo fmt --check --manifest-path benches/gpu-lab/Cargo.toml

setup:
	@sh scripts/setup.sh
	@$(make_run_dir)

demo: setup
	cargo run --release --locked --features cli -- demo

# Every step uses the release profile: clippy and rustdoc then share one set of
# checked dependencies, and the tests share the demo's build.
test: fmt setup
	cargo clippy --release --locked --features cli --all-targets -- -D warnings
	cargo clippy --release --locked --lib --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --features cli --no-deps
	cargo test --release --locked --features cli

# The 1,914 tests of ONNX itself; what passes is in tests/onnx/passed.txt.
test-onnx: setup
	@sh scripts/fetch-onnx-tests.sh
	cargo test --release --locked --features cli --test onnx_backend

# 73 results of Open Image Denoise's CPU device, with its weights.
test-oidn: setup
	@sh scripts/test-oidn.sh
	cargo test --release --locked --features cli --test oidn -- --nocapture --test-threads 1

test-drivers:
	@$(make_run_dir)
	@sh scripts/test-drivers.sh

gpu-lab:
	@$(make_run_dir)
	@sh scripts/gpu-lab.sh

on-gpu:
	rm -rf target/on-gpu
	@sh scripts/on-gpu.sh --pack target/on-gpu

bench: setup
	cargo run --release --locked --features cli -- bench resnet50 --batch 1,8

clean:
	cargo clean
	rm -rf out target/run
