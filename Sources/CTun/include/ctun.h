#ifndef CTUN_H
#define CTUN_H
#endif
