/*
 * What a program needs to start on FreeBSD 12 and 13 as well as on 14 and later.
 *
 * zig's start file calls __libc_start1, which libc has only since 14.0. This one does what crt1.o
 * did itself before that: publish environ and __progname (older libc expects the program to
 * define both), register the runtime linker's cleanup, run main. The runtime linker has already
 * run the constructors of a dynamically linked program. pthread_setname_np came with 13.0.
 *
 * And what librdkafka calls in the place of what is left out: its cluster for tests, and groups of
 * consumers with the ways to share partitions among them. There are none.
 */
#include <pthread.h>
#include <pthread_np.h>
#include <stdlib.h>

extern char **environ;		/* both are defined by crt1.o */
extern const char *__progname;

typedef int main_function(int, char **, char **);

void __libc_start1(int, char **, char **, void (*)(void), main_function *);

void
__libc_start1(int argc, char **argv, char **env, void (*cleanup)(void), main_function *run)
{
	const char *s;

	if (environ == NULL)
		environ = env;
	if (argc > 0 && argv[0] != NULL) {
		__progname = argv[0];
		for (s = argv[0]; *s != '\0'; s++)
			if (*s == '/')
				__progname = s + 1;
	}
	if (cleanup != NULL)
		atexit(cleanup);
	exit(run(argc, argv, env));
}

int
pthread_setname_np(pthread_t thread, const char *name)
{
	pthread_set_name_np(thread, name);
	return (0);
}

void	*perijove_no_mock_cluster(void *, int);

void *
perijove_no_mock_cluster(void *client, int brokers)
{
	(void)client;
	(void)brokers;
	return (NULL);
}

int	 perijove_no_assignors(void *, char *, size_t);

int
perijove_no_assignors(void *client, char *error, size_t error_size)
{
	(void)client;
	(void)error;
	(void)error_size;
	return (0);
}

/* Called for a consumer only. */
void	*perijove_no_consumer_group(void *, int, const void *, const void *);

void *
perijove_no_consumer_group(void *client, int protocol, const void *group, const void *id)
{
	(void)client;
	(void)protocol;
	(void)group;
	(void)id;
	return (NULL);
}
