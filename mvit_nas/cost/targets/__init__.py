"""Where an artefact is measured: this host, a machine over ssh, a phone over adb."""
