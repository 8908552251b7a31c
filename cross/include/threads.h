/* librdkafka takes C11 threads where it finds them; FreeBSD keeps those in libstdthreads, which
 * Junos need not have. This sends it to its pthread version. */
#error "no C11 threads for this target: use pthreads"
