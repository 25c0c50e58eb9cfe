"""Provisioning: endpoints that are made on demand, within the limits of an account.

`fleet` decides, and is pure. `keeper` has the threads. `providers` has one file for each kind of provider.
"""
