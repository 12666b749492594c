/* A disk that takes its time: each fsync(2) waits, as it does beside a job that deletes gigabytes. fdatasync(2) is left alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

int fsync(int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    sleep(SECONDS);
    return real(file);
}
