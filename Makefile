.PHONY: check format test slow bench report

check:  ## format, lint, types, layers
	ruff format --check .
	ruff check .
	mypy
	pytest -q tests/test_layers.py

format:
	ruff format .
	ruff check --fix .

test:
	pytest

slow:  ## minutes to an hour: what CI leaves out
	pytest -m slow

bench:  ## speed of the model against others, as ratios in one run, and of counting; whether intervals keep their word
	python benchmarks/model_speed.py
	python benchmarks/runtime_speed.py
	python benchmarks/count_speed.py
	python benchmarks/ablation_statistics.py

report:  ## the pages of a made-up study and of ablations, to look at while working on them
	python tests/test_report.py reports/example
	python tests/test_ablation_page.py reports
