"""A complete consumer of vouchers.v1, to copy from: issues into its own store, and answers with receipts.

It needs aiokafka, the generated messages, and the standard library; nothing else of Pingxi.
"""
