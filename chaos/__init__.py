"""Chaos test: the whole service as real processes under traffic, killed and disturbed at random.

At the end the sandbox's books are compared with the notifications: `bin/chaos`.
"""
