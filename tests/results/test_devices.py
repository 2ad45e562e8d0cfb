"""A file of devices and their limits, and the page that offers them."""

import pytest
from reports import environment, example_table, write_report

from mvit_nas.errors import InputError
from mvit_nas.results.report import remake_report
from mvit_nas.results.search.devices import Device, read_devices


def test_a_device_has_the_limits_of_its_line(tmp_path):
    path = tmp_path / "devices.yaml"
    path.write_text("Pixel 8: 10 ms, 4 MiB\n7: 1.5MMACs,500K\n")
    assert read_devices(path) == (
        Device(name="Pixel 8", limits={"latency_ms": 10.0, "size_mib": 4.0}),
        Device(name="7", limits={"macs": 1.5e6, "params": 5e5}),
    )
    assert read_devices(path)[0].words == "at most 10 ms, at most 4 MiB"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"devices.yaml: must hold devices: write a device a line"),
        ("- a", r"devices.yaml: must hold devices"),
        ("a: 3", r"devices.yaml: a: must be limits as text, got 3"),
        ("a: 3 parsec", r"devices.yaml: a: cannot read the budget '3 parsec'"),
        ("a: 3 ms, 4 ms", r"devices.yaml: a: limits latency twice"),
        ("a: 3ms..4ms", r"devices.yaml: a: a device has an upper limit only, got '3ms..4ms'"),
        ("a: [", r"devices.yaml is no YAML"),
    ],
)
def test_a_file_that_is_not_of_devices_is_an_error_in_one_line(tmp_path, text, said):
    path = tmp_path / "devices.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as error:
        read_devices(path)
    assert "\n" not in str(error.value)


def test_a_button_sets_the_limits_of_a_device(shown, tmp_path):
    write_report(example_table(), environment(), tmp_path)
    path = tmp_path / "devices.yaml"
    path.write_text("Pixel 8: 9 ms, 3M\nWatch: 4 MiB\n")
    page = shown(remake_report(tmp_path, devices=path))
    page.wait_for_selector("html[data-settled=yes]")
    page.click("#devices button:has-text('Pixel 8')")
    page.wait_for_url("**limit.latency_ms=9&limit.params=3000000")
    assert page.locator("label[for=limit-params] output").text_content() == "at most 3M parameters"
    assert page.get_by_role("button", name="Watch (size not measured)").count() == 1
