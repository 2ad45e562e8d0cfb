TABLE ?= ../shared/reference/bench/nas-bench-macro_cifar10.json

.PHONY: check format test slow kernels hostile bench search-benchmark reference report page page-test

check:  ## format, lint, types, layers
	ruff format --check .
	ruff check .
	mypy
	pytest -q tests/test_layers.py
	python docs/make_reference.py --check

format:
	ruff format .
	ruff check --fix .

test:
	pytest -n auto --dist worksteal

slow: kernels hostile  ## minutes to an hour: what CI leaves out
	pytest -m slow

# What a number hangs on that should not: the fast tests as processors with AVX2 alone, and with none of that, compute.
kernels:
	ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell pytest -n auto --dist worksteal
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 OPENBLAS_CORETYPE=Nehalem pytest -n auto --dist worksteal

hostile:  ## 10,000 mutated files of every kind that is read: no traceback, no hang, no gigabytes (CI reads 1,000)
	MVIT_NAS_HOSTILE=10000 pytest -q tests/hostile

bench:  ## speed of the model against others, as ratios in one run, and of counting; whether intervals keep their word
	python benchmarks/model_speed.py
	python benchmarks/runtime_speed.py
	python benchmarks/count_speed.py
	python benchmarks/ablation_statistics.py

search-benchmark:  ## what each sampler finds for its compute; TABLE is NAS-Bench-Macro's (an hour or two of a core, most of it two slow contestants'; goes on)
	python benchmarks/search_efficiency.py $(TABLE) --keep benchmarks/runs

reference:  ## docs/reference.md and the layout in docs/architecture.md, of the code
	python docs/make_reference.py

report:  ## the pages of a made-up study, of ablations and of a comparison, to look at while working on them
	python tests/support/reports.py reports/example
	python tests/support/ablations.py reports
	python tests/support/comparisons.py reports/example-comparison

page:  ## the pages' script from page/src, and the libraries that they embed, into the package (needs Node 20)
	npm --prefix page ci
	npm --prefix page run build

page-test:  ## unit tests of the pages' script (needs Node 20)
	npm --prefix page test
