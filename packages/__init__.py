"""The Debian and the RPM package: `make packages`. None of this is in the wheel."""
