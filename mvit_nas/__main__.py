"""``python -m mvit_nas``."""

from mvit_nas.cli.app import main

main()
