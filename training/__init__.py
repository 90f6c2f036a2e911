"""Trains and evaluates the models that ship as data. No service imports it."""
