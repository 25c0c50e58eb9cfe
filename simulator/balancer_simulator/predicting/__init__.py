"""What a fitted scenario says of the time to come, how often that is right, and which setting would be better.

Every interval comes of fits to the calls drawn again, with one run each: it allows for what few calls leave unknown and
for what chance does.
"""
