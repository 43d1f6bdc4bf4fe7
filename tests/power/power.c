/* A disk that keeps only what was synced, for a process that loads this before libc (LD_PRELOAD).

   The model. Of a file, what a power cut leaves is its contents at its last fsync, or nothing if there was none; of a
   folder, its list of names at its last fsync, or none. A rename, a removal or a new name is thus lost until the folder
   is synced, and so is the name of a new folder in the one above it. Writes through a map are in the page cache like all
   others and are kept by an fsync of their file. Nothing else syncs: not close, not sync(), not O_SYNC, not msync, not
   time. That is worse than real disks, which also write by themselves: `power.py` can let any of that survive.

   POWER_ROOT    the folder that is on the disk; nothing outside it is watched
   POWER_STORE   where what was synced is kept, outside POWER_ROOT: of the file or folder KEY, in a file KEY
   POWER_COUNT   a file to which each call below appends a byte
   POWER_CUT     the call, counted from 1, before which all processes of the group are killed

   KEY is the inode's number and its time of birth, as numbers are used again. A folder's list is TYPE KEY NAME, each ended
   by a zero byte. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* The key of a path below the folder `at` (or of `at` itself, if the path is ""); 0 if the file system has no births. */
int power_key(int at, const char *path, char *key, size_t size) {
    struct statx s;
    if (statx(at, path, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_INO | STATX_BTIME | STATX_TYPE, &s)) return -1;
    if (!(s.stx_mask & STATX_BTIME)) return 0;
    snprintf(key, size, "%llu-%lld-%u", (unsigned long long)s.stx_ino, (long long)s.stx_btime.tv_sec, s.stx_btime.tv_nsec);
    return S_ISDIR(s.stx_mode) ? 'd' : S_ISREG(s.stx_mode) ? 'f' : 'o';
}

/* Keep what the open file or folder holds now, all of it or nothing. */
int power_keep(int fd, const char *store) {
    char key[64], part[PATH_MAX], kept[PATH_MAX], self[64], buffer[1 << 16];
    int type = power_key(fd, "", key, sizeof key);
    if (type != 'd' && type != 'f') return -1;
    snprintf(kept, sizeof kept, "%s/%s", store, key);
    snprintf(part, sizeof part, "%s/%s.%d.part", store, key, getpid());
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    int out = open(part, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0) return -1;
    if (type == 'f') {
        int in = open(self, O_RDONLY);
        ssize_t n = 0;
        while (in >= 0 && (n = read(in, buffer, sizeof buffer)) > 0)
            if (REAL(write)(out, buffer, n) != n) return -1;
        close(in);
    } else {
        DIR *names = opendir(self);
        struct dirent *each;
        while (names && (each = readdir(names))) {
            if (!strcmp(each->d_name, ".") || !strcmp(each->d_name, "..")) continue;
            int kind = power_key(dirfd(names), each->d_name, key, sizeof key);
            if (kind <= 0) continue; /* gone in the meantime */
            int n = snprintf(buffer, sizeof buffer, "%c%c%s%c%s%c", kind, 0, key, 0, each->d_name, 0);
            if (REAL(write)(out, buffer, n) != n) return -1;
        }
        closedir(names);
    }
    close(out);
    return REAL(rename)(part, kept);
}

static int below(const char *path) {
    const char *root = getenv("POWER_ROOT");
    size_t n = root ? strlen(root) : 0;
    return n && !strncmp(path, root, n) && (path[n] == '/' || !path[n]);
}

static int watched_fd(int fd) {
    char self[64], path[PATH_MAX];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(self, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return below(path);
}

static int watched(int at, const char *path) {
    char full[PATH_MAX];
    if (path[0] == '/') return below(path);
    if (at == AT_FDCWD) return getcwd(full, sizeof full) && below(full);
    return watched_fd(at);
}

/* Before a call that changes what is on the disk, or in its page cache. Those that are left out, such as open, are no moments. */
static void moment(void) {
    const char *count = getenv("POWER_COUNT"), *cut = getenv("POWER_CUT");
    struct stat s;
    if (!count) return;
    int fd = open(count, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0) return;
    if (REAL(write)(fd, ".", 1) == 1 && cut && !fstat(fd, &s) && s.st_size >= atoll(cut)) kill(0, SIGKILL);
    close(fd);
}

static int synced(int fd, int (*real)(int)) {
    const char *store = getenv("POWER_STORE");
    if (!store || !watched_fd(fd)) return real(fd);
    moment();
    return power_keep(fd, store);
}

int fsync(int fd) { return synced(fd, REAL(fsync)); }
int fdatasync(int fd) { return synced(fd, REAL(fdatasync)); }

ssize_t write(int fd, const void *buffer, size_t n) {
    if (watched_fd(fd)) moment();
    return REAL(write)(fd, buffer, n);
}
ssize_t writev(int fd, const struct iovec *parts, int n) {
    if (watched_fd(fd)) moment();
    return REAL(writev)(fd, parts, n);
}
ssize_t pwrite64(int fd, const void *buffer, size_t n, off64_t at) {
    if (watched_fd(fd)) moment();
    return REAL(pwrite64)(fd, buffer, n, at);
}
int rename(const char *from, const char *to) {
    if (watched(AT_FDCWD, from)) moment();
    return REAL(rename)(from, to);
}
int mkdir(const char *path, mode_t mode) {
    if (watched(AT_FDCWD, path)) moment();
    return REAL(mkdir)(path, mode);
}
int unlink(const char *path) {
    if (watched(AT_FDCWD, path)) moment();
    return REAL(unlink)(path);
}
int unlinkat(int at, const char *path, int flags) {
    if (watched(at, path)) moment();
    return REAL(unlinkat)(at, path, flags);
}
int rmdir(const char *path) {
    if (watched(AT_FDCWD, path)) moment();
    return REAL(rmdir)(path);
}
