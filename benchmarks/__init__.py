"""What a message costs, in time and in money: ``make bench``.

==============  ==============================================================
module          what it measures, or does
==============  ==============================================================
`cold_start`    fresh processes that import a handler, against bare botocore
`calls`         which AWS calls an action makes, how many in sequence, units
`flatness`      the same message among 1,000 and among 100,000 other users
`fan_out`       one message to 1 and to 16 devices
`warm`          the CPU of a warm invocation, and where it goes
`runner`        the local runner, end to end
`money`         what all that costs on AWS, from `prices.json`
`deployment`    the four functions on embedded tables
`wire`          records the calls that the functions make
`units`         DynamoDB's capacity units, by its published rules
`measure`       medians, spreads, tables
`plots` `page`  `docs/performance.md` and its pictures
==============  ==============================================================
"""

import os

# The development tools bring awscrt, with which botocore would sign. The layer does not have it.
os.environ["BOTO_DISABLE_CRT"] = "true"
